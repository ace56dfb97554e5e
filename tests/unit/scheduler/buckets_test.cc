#include "scheduler/plan/buckets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "samples.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/segments.h"
#include "scheduler/plan/simulate.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

constexpr std::uint64_t kOneBucket = std::uint64_t{1} << 40;

job::Job bucketed_job(std::uint32_t replicas, std::uint32_t stages, std::uint64_t bytes) {
  job::Job job = sample_job(replicas, stages);
  job.parallelism.bucket_bytes = bytes;
  return job;
}

Plan planned(const job::Job& job, const topology::Topology& topology) {
  auto plan = make_plan(job, topology);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text());
  return plan.ok() ? *plan : Plan{};
}

/// Of two stages, the first with three layers.
std::vector<std::uint32_t> cuts_of(const nn::ModelSpec& spec, std::uint64_t bytes,
                                   std::uint32_t replicas = 2, std::uint32_t zero_stage = 0) {
  job::Parallelism parallelism;
  parallelism.dp = replicas;
  parallelism.bucket_bytes = bytes;
  parallelism.zero_stage = zero_stage;
  const auto last = static_cast<std::uint32_t>(spec.layers.size());
  const LayerRange stages[] = {{0, 3}, {3, last}};
  return cut_buckets(spec, stages, parallelism);
}

std::uint64_t bytes_of(const nn::ModelSpec& spec, LayerRange layers) {
  const StageSize size = size_of(spec, layers, 1);
  return size.all_gradients();
}

TEST(Buckets, AreTheLayersBetweenCutsOfTheirStage) {
  const std::vector<std::uint32_t> cuts{2, 4, 5, 7};
  const Buckets buckets({4, 7}, cuts);
  ASSERT_EQ(buckets.count(), 2u);
  EXPECT_EQ(buckets.layers(0).first, 4u);
  EXPECT_EQ(buckets.layers(0).last, 5u);
  EXPECT_EQ(buckets.layers(1).first, 5u);
  EXPECT_EQ(buckets.layers(1).last, 7u);
  EXPECT_EQ(buckets.of(4), 0u);
  EXPECT_EQ(buckets.of(6), 1u);
  EXPECT_EQ(Buckets({0, 2}, cuts).count(), 1u);
  EXPECT_EQ(Buckets({3, 3}, cuts).count(), 1u);
}

TEST(Buckets, HaveTheBytesThatTheJobAsksFor) {
  const nn::ModelSpec spec = job::spec_of(sample_job(1, 1));
  const auto last = static_cast<std::uint32_t>(spec.layers.size());
  for (const std::uint64_t least : {1u << 10, 1u << 19, 1u << 21, 1u << 22}) {
    const std::vector<std::uint32_t> cuts = cuts_of(spec, least);
    for (const LayerRange stage : {LayerRange{0, 3}, LayerRange{3, last}}) {
      const Buckets buckets(stage, cuts);
      for (std::uint32_t b = 0; b < buckets.count() && buckets.count() > 1; ++b)
        EXPECT_GE(bytes_of(spec, buckets.layers(b)), least);
    }
  }
  std::vector<std::uint32_t> each(last);
  std::iota(each.begin(), each.end(), 0u);
  std::erase_if(each, [](std::uint32_t layer) { return layer == 0 || layer == 3; });
  EXPECT_EQ(cuts_of(spec, 1), each);
  EXPECT_TRUE(cuts_of(spec, kOneBucket).empty());
  EXPECT_TRUE(cuts_of(spec, 1, 1).empty()) << "one copy meets no other";
}

TEST(Buckets, AreFewWhereNobodyAsks) {
  const auto buckets_of_width = [](std::int64_t width, std::uint32_t zero_stage = 0) {
    job::Job job = sample_job(1, 1);
    job.model = nn::GptConfig{.n_embd = width, .n_layer = 24, .n_head = 4};
    return cuts_of(job::spec_of(job), 0, 2, zero_stage).size();
  };
  EXPECT_EQ(buckets_of_width(32), 0u);
  EXPECT_GT(buckets_of_width(512), 2u);
  EXPECT_LE(buckets_of_width(512), 14u);  // 8 of each stage
  EXPECT_LT(buckets_of_width(192, 1), buckets_of_width(192)) << "every replica is to own some";
}

TEST(BucketedPlan, IsValidAndLiveInEveryMix) {  // make_plan() proves both
  const auto try_layout = [](job::Parallelism parallelism, std::uint32_t nodes) {
    SCOPED_TRACE(testing::Message()
                 << parallelism.dp << " x " << parallelism.pp << " x " << parallelism.tp << " x "
                 << parallelism.cp << ", " << name_of(parallelism.schedule) << ", zero "
                 << parallelism.zero_stage << " on " << nodes);
    job::Job job = sample_job(1, 1);
    job.parallelism = parallelism;
    job.parallelism.bucket_bytes = 1u << 18;
    const Plan plan = planned(job, sample_topology(nodes));
    EXPECT_FALSE(plan.buckets.empty());
    const auto copy = decode(encode(plan));
    ASSERT_TRUE(copy.ok()) << copy.error().text();
    EXPECT_EQ(*copy, plan);
  };
  for (const char* schedule : {"1f1b", "zero-bubble", "interleaved:2"}) {
    for (const std::uint32_t zero_stage : {0, 1, 2}) {
      for (const auto& [dp, pp, tp, cp] :
           {std::array{2u, 2u, 1u, 1u}, {4u, 2u, 1u, 1u}, {2u, 2u, 2u, 1u}, {2u, 2u, 1u, 2u}}) {
        job::Parallelism parallelism;
        parallelism.dp = dp;
        parallelism.pp = pp;
        parallelism.tp = tp;
        parallelism.cp = cp;
        parallelism.zero_stage = zero_stage;
        parallelism.schedule = job::parse_schedule(schedule).value();
        for (const std::uint32_t nodes : {1, 4}) try_layout(parallelism, nodes);
      }
    }
  }
}

TEST(BucketedPlan, HasASyncForEachAndAsMuchOfAllElse) {
  const Plan whole = planned(bucketed_job(2, 1, kOneBucket), sample_topology(2));
  const Plan plan = planned(bucketed_job(2, 1, 1u << 20), sample_topology(2));
  EXPECT_TRUE(whole.buckets.empty());
  ASSERT_FALSE(plan.buckets.empty());
  std::uint64_t all[2] = {};
  std::map<std::uint32_t, std::set<std::uint32_t>> begins;  // by replica
  for (const Plan* one : {&whole, &plan}) {
    for (const Actor& actor : one->actors) {
      if (actor.kind != ActorKind::kGradientSync) continue;
      all[one == &plan] += one->edges[actor.acts[0].inputs[0].edge].bytes;
      if (one == &plan && actor.first_layer > 0) begins[actor.replica].insert(actor.first_layer);
    }
  }
  EXPECT_EQ(all[0], all[1]);
  const std::set<std::uint32_t> cuts(plan.buckets.begin(), plan.buckets.end());
  EXPECT_EQ(begins, (std::map<std::uint32_t, std::set<std::uint32_t>>{{0, cuts}, {1, cuts}}));
  // What lies between segments of a stage is all that comes to it.
  const auto before = memory_of(whole), after = memory_of(plan);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_GT(after[i], before[i]);
    EXPECT_LT(static_cast<double>(after[i]), 1.05 * static_cast<double>(before[i]));
  }
}

TEST(BucketedPlan, DealsEveryBucketToAllReplicas) {
  job::Job job = bucketed_job(2, 1, 0);
  job.model = nn::GptConfig{.n_embd = 1024, .n_layer = 4, .n_head = 4};
  job.parallelism.zero_stage = 1;
  const Plan plan = planned(job, sample_topology(2, std::uint64_t{1} << 40));
  const Actor& shard = *std::ranges::find(plan.actors, ActorKind::kLayerShard, &Actor::kind);
  const Buckets buckets = buckets_of(plan, shard);
  ASSERT_GT(buckets.count(), 1u);
  const Deal deal = deal_of(job::spec_of(job), plan);
  for (std::uint32_t b = 0; b < buckets.count(); ++b) {
    for (const std::uint32_t replica : {0u, 1u})
      EXPECT_FALSE(deal.owned(buckets.layers(b), replica).empty()) << b;
  }
}

TEST(BucketedPlan, IsRefusedWhenItsActsAreOfOtherBuckets) {
  const Plan plan = planned(bucketed_job(2, 2, 1u << 20), sample_topology(2));
  ASSERT_GE(plan.buckets.size(), 2u);
  ASSERT_TRUE(validate(plan).ok());
  const auto refused = [](Plan damaged, const char* what) {
    const Status status = validate(damaged);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto);
  };
  Plan damaged = plan;
  std::swap(damaged.buckets[0], damaged.buckets[1]);
  refused(damaged, "in another order");
  damaged = plan;
  damaged.buckets[1] = damaged.buckets[0];
  refused(damaged, "twice the same");
  damaged = plan;
  damaged.buckets.pop_back();
  refused(damaged, "one less than there are acts");
  damaged = plan;
  damaged.buckets.clear();
  refused(damaged, "none");
}

TEST(BucketedPlan, SaysSo) {
  std::ostringstream out;
  const Plan plan = planned(bucketed_job(2, 1, 1u << 20), sample_topology(2));
  print_plan(plan, out);
  EXPECT_NE(out.str().find("\ngradients     in " + std::to_string(plan.buckets.size() + 1) +
                           " buckets of layers"),
            std::string::npos)
      << out.str();
  EXPECT_NE(out.str().find("sync/r1/s0/b1"), std::string::npos);
}

/// Of two or four replicas with one micro-batch each, who compute a minute forward and two backward
/// and exchange all gradients in `exchange` minutes. What copies take is little beside that.
double step_minutes(std::uint32_t replicas, double exchange, std::uint64_t bucket_bytes,
                    std::uint32_t zero_stage = 0) {
  job::Job job = bucketed_job(replicas, 1, bucket_bytes);
  job.model = nn::GptConfig{.n_embd = 1024, .n_layer = 12, .n_head = 4};
  job.training.leaves = replicas;
  job.parallelism.zero_stage = zero_stage;
  topology::Topology topology = sample_topology(replicas, std::uint64_t{1} << 40);
  const nn::ModelSpec spec = job::spec_of(job);
  const StageSize all =
      size_of(spec, {0, static_cast<std::uint32_t>(spec.layers.size())}, tokens_per_leaf(job));
  for (topology::Node& node : topology.nodes) node.device = {all.flops / 180, 1e18, false};
  const double rate = 8 * static_cast<double>(all.all_gradients()) / (60 * exchange);
  topology.lines = {{"east", "west", replicas / 2 * rate, {}},
                    {"east", "east", rate, {}},
                    {"west", "west", rate, {}}};
  return planned(job, topology).predicted_step_seconds / 60;
}

constexpr std::uint64_t kDefault = 0;

TEST(BucketedPlan, HidesTheExchangeBehindBackward) {
  EXPECT_NEAR(step_minutes(2, 1.5, kOneBucket), 3 + 1.5, 0.1);
  EXPECT_LT(step_minutes(2, 1.5, kDefault), 3 + 1.5 / 4);
}

/// The sum of one exchange is on its way to the next before backward is done.
TEST(BucketedPlan, HidesEveryExchangeOfSeveral) {
  const auto exposed = [](std::uint64_t bucket_bytes, std::uint32_t zero_stage) {
    return step_minutes(4, 0.7, bucket_bytes, zero_stage) - 3;
  };
  EXPECT_GT(exposed(kOneBucket, 0), 1);
  EXPECT_LT(exposed(kDefault, 0), exposed(kOneBucket, 0) / 3);
  // Of what is shared out only gradients can hide; behind the update as many weights come back.
  EXPECT_LT(exposed(kDefault, 1), 0.75 * exposed(kOneBucket, 1));
}

}  // namespace
}  // namespace reef::plan
