// Plans in which replicas share weights out, too (ZeRO stage 3).

#include <gtest/gtest.h>

#include <algorithm>

#include "samples.h"
#include "scheduler/plan/buckets.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/gathered.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/simulate.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

job::Job job_of(std::uint32_t replicas, std::uint32_t stages, std::uint32_t zero_stage) {
  job::Job job = sample_job(replicas, stages);
  job.parallelism.zero_stage = zero_stage;
  job.parallelism.bucket_bytes = 1 << 18;
  return job;
}

Plan planned(std::uint32_t replicas, std::uint32_t stages, std::uint32_t zero_stage = 3) {
  const auto plan = make_plan(job_of(replicas, stages, zero_stage), sample_topology(2));
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text());
  return plan.ok() ? *plan : Plan{};
}

const Actor& named(const Plan& plan, const std::string& name) {
  return *std::ranges::find(plan.actors, name, &Actor::name);
}

TEST(WeightsPlan, FiresOnceForEachBucketWithTwoSlotsOfTheLargest) {
  Plan plan = planned(2, 1);
  const nn::ModelSpec spec = job::spec_of(job_of(2, 1, 3));
  const Actor& shard = named(plan, "layers/r0/s0");
  const Buckets buckets = buckets_of(plan, shard);
  const std::uint32_t turns = micro_batches_of(plan, 0) * buckets.count();
  ASSERT_GT(buckets.count(), 2u);
  std::uint64_t weights = 0, gradients = 0;
  for (std::uint32_t b = 0; b < buckets.count(); ++b) {
    std::uint64_t bytes = 0;
    for (const nn::Parameter& parameter : gathered(spec, buckets.layers(b)))
      bytes += 4 * static_cast<std::uint64_t>(parameter.elements());
    weights = std::max(weights, bytes);
    gradients = std::max(gradients, size_of(spec, buckets.layers(b), 1).all_gradients());
  }
  for (const char* direction : {".forward", ".backward"}) {
    const Edge& edge = edge_named(plan, std::string("weights.r0.s0") + direction);
    EXPECT_EQ(edge.tokens, turns);
    EXPECT_EQ(edge.slots, 2u);
    EXPECT_EQ(edge.bytes, weights);
    EXPECT_EQ(edge_named(plan, std::string("slices.r0.s0") + direction).tokens, 1u);
  }
  const Edge& edge = edge_named(plan, "gradients.r1.s0");
  EXPECT_EQ(edge.tokens, turns);
  EXPECT_EQ(edge.slots, 1u);
  EXPECT_EQ(edge.bytes, gradients);
  EXPECT_EQ(edge_named(plan, "reduced.r0.s0").tokens, 1u);
  EXPECT_EQ(edge_named(plan, "stash.r0.s0").tokens, micro_batches_of(plan, 0));
}

TEST(WeightsPlan, NeedsLessMemoryThanEveryOther) {
  std::uint64_t most[4] = {};
  for (const std::uint32_t zero_stage : {0, 1, 2, 3}) {
    for (const std::uint64_t bytes : memory_of(planned(2, 1, zero_stage)))
      most[zero_stage] = std::max(most[zero_stage], bytes);
  }
  EXPECT_LT(most[3], most[2]);
  EXPECT_LT(most[2], most[1]);
  EXPECT_LT(most[1], most[0]);
}

TEST(WeightsPlan, BringsTheTiedTableToBothOfItsUses) {
  const nn::ModelSpec spec = job::spec_of(job_of(2, 2, 3));
  const auto last = static_cast<std::uint32_t>(spec.layers.size());
  EXPECT_EQ(gathered(spec, {0, 1})[1].name, "wte.weight");
  EXPECT_EQ(used_of_others(spec, {0, last}).size(), 0u);
  ASSERT_EQ(used_of_others(spec, {last - 1, last}).size(), 1u);
  EXPECT_EQ(gathered(spec, {last - 1, last}).back().name, "wte.weight");
  Plan plan = planned(2, 2);
  std::uint64_t slices = 0;
  for (const char* replica : {"r0", "r1"}) {
    for (const char* direction : {".forward", ".backward"})
      slices += edge_named(plan, std::string("tied-slices.") + replica + direction).bytes;
  }
  const auto table = static_cast<std::uint64_t>(gathered(spec, {0, 1})[1].elements());
  EXPECT_EQ(slices, 2 * 4 * table);
}

TEST(WeightsPlan, LetsNoMoreMicroBatchesInThanStashesLie) {
  Plan plan = planned(2, 2);
  const Edge& turns = edge_named(plan, "turns.r0.s0");
  EXPECT_EQ(turns.initial, turns.slots);
  EXPECT_EQ(turns.slots, edge_named(plan, "stash.r0.s0").slots);
}

TEST(WeightsPlan, IsReadAsItWasWritten) {
  const Plan plan = planned(2, 2);
  EXPECT_EQ(decode(encode(plan)).value(), plan);
}

TEST(WeightsPlan, LocksUpWithoutATurn) {
  Plan plan = planned(2, 1);
  ASSERT_TRUE(prove_live(plan).ok());
  edge_named(plan, "turns.r0.s0").initial = 0;
  const Status status = prove_live(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kJobGraph);
}

TEST(WeightsPlan, IsRefusedWhenDamaged) {
  const Plan plan = planned(2, 2);
  ASSERT_TRUE(validate(plan).ok());
  const auto refused = [](const Plan& damaged, const char* what) {
    const Status status = validate(damaged);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto) << what;
  };
  Plan damaged = plan;
  damaged.shares_weights = false;
  refused(damaged, "not said");
  damaged = planned(2, 2, 2);
  damaged.shares_weights = true;
  refused(damaged, "said of another plan");
  damaged = plan;
  damaged.ranks = 2;
  refused(damaged, "ranks");
  damaged = plan;
  damaged.buckets.pop_back();
  refused(damaged, "a bucket less than it fires for");
  damaged = plan;
  edge_named(damaged, "stash.r0.s0").tokens *= 2;
  refused(damaged, "a stash more often than a micro-batch");
  damaged = plan;
  edge_named(damaged, "weights.r0.s0.forward").tokens /= 2;
  refused(damaged, "weights for half of the firings");
  damaged = plan;
  damaged.buckets.clear();
  for (std::uint32_t layer = 1; layer < 300; ++layer) damaged.buckets.push_back(layer);
  refused(damaged, "more buckets than anybody needs");
}

/// On nodes that take a minute for a forward, with lines that bring all weights in half of one.
TEST(WeightsPlan, GathersTheNextBucketWhileOneComputes) {
  job::Job job = job_of(2, 1, 3);
  job.training.leaves = 2;
  topology::Topology topology = sample_topology(2);
  const nn::ModelSpec spec = job::spec_of(job);
  const StageSize all =
      size_of(spec, {0, static_cast<std::uint32_t>(spec.layers.size())}, tokens_per_leaf(job));
  for (topology::Node& node : topology.nodes) node.device = {all.flops / 180, 1e18, false};
  const double half = static_cast<double>(all.weights) / 2;  // the other one is there
  topology.lines = {{"east", "west", 8 * half / 30, {}}};
  const double minutes = make_plan(job, topology).value().predicted_step_seconds / 60;
  EXPECT_LT(minutes, 3 + 0.6) << "of 1.5 on the line for weights there, back and gradients";
}

}  // namespace
}  // namespace reef::plan
