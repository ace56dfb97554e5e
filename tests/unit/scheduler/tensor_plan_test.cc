// Plans whose layers several ranks share.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "ops/nn/tensor_rank.h"
#include "samples.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

job::Job shared_job(std::uint32_t dp, std::uint32_t pp, std::uint32_t tp,
                    std::uint32_t zero_stage = 0, const char* schedule = "1f1b") {
  job::Job job = sample_job(dp, pp);
  job.parallelism.tp = tp;
  job.parallelism.zero_stage = zero_stage;
  job.parallelism.schedule = job::parse_schedule(schedule).value();
  return job;
}

std::uint64_t all_memory(const Plan& plan) {
  const auto memory = memory_of(plan);
  return std::accumulate(memory.begin(), memory.end(), std::uint64_t{0});
}

TEST(TensorPlan, IsLiveInEveryMix) {
  for (const char* schedule : {"1f1b", "zero-bubble", "interleaved:2"}) {
    for (const std::uint32_t dp : {1u, 2u}) {
      for (const std::uint32_t pp : {1u, 2u}) {
        for (const std::uint32_t tp : {2u, 4u}) {
          for (const std::uint32_t zero : {0u, 1u}) {
            if (pp == 1 && std::string_view(schedule) != "1f1b") continue;
            const auto plan =
                make_plan(shared_job(dp, pp, tp, zero, schedule), sample_topology(dp * pp * tp));
            ASSERT_TRUE(plan.ok()) << plan.error().text();
            EXPECT_EQ(plan->ranks, tp);
            EXPECT_FALSE(plan->reproducible);
            EXPECT_GT(plan->predicted_step_seconds, 0);
            const Plan again = decode(encode(*plan)).value();
            EXPECT_EQ(again, *plan);
          }
        }
      }
    }
  }
}

TEST(TensorPlan, SharesStateAndStashOut) {
  const auto state_of = [](const Plan& plan, ActorKind kind, std::uint32_t rank) {
    std::uint64_t bytes = 0;
    for (const Actor& actor : plan.actors) {
      if (actor.kind == kind && actor.rank == rank) bytes += actor.state_bytes;
    }
    return bytes;
  };
  const Plan whole = sample_plan(1, 1, 1);
  const Plan shared = make_plan(shared_job(1, 1, 2), sample_topology(2)).value();
  const std::uint64_t all = state_of(whole, ActorKind::kOptimizer, 0);
  for (const std::uint32_t rank : {0u, 1u}) {
    const std::uint64_t part = state_of(shared, ActorKind::kOptimizer, rank);
    EXPECT_GT(part, 49 * all / 100);
    EXPECT_LT(part, 53 * all / 100) << "norms are with both";
  }
  EXPECT_LT(all_memory(shared), 2 * all_memory(whole));
}

TEST(TensorPlan, GivesCopiesTheSameOwnerOnEveryRank) {
  const job::Job job = shared_job(4, 2, 2, 1);
  const Plan plan = make_plan(job, sample_topology(4)).value();
  const auto deals = deals_of(job, plan);
  ASSERT_EQ(deals.size(), 2u);
  std::size_t copies = 0;
  for (const nn::Layer& layer : deals[1].spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      if (!nn::is_copied(parameter, {1, 2})) continue;
      ++copies;
      EXPECT_TRUE(
          std::ranges::equal(deals[0].deal.of(parameter.name), deals[1].deal.of(parameter.name)));
    }
  }
  EXPECT_EQ(copies, 18u) << "two vectors of each of nine norms";
}

TEST(TensorPlan, ASumCrossesBetweenDatacentersOnce) {
  const auto crossing = [](const Plan& plan) {
    std::uint64_t bytes = 0;
    for (const Edge& edge : plan.edges) {
      if (edge.wire && edge.content == Content::kActivation &&
          plan.nodes[plan.actors[edge.producer].node].datacenter !=
              plan.nodes[plan.actors[edge.consumer].node].datacenter)
        bytes += edge.bytes;
    }
    return bytes;
  };
  const std::uint64_t alone = crossing(make_plan(shared_job(1, 2, 1), sample_topology(2)).value());
  EXPECT_GT(alone, 0u);
  for (const std::uint32_t tp : {2u, 4u}) {
    const Plan plan = make_plan(shared_job(1, 2, tp), sample_topology(2 * tp)).value();
    EXPECT_EQ(crossing(plan), alone) << tp;
    EXPECT_EQ(std::ranges::count(plan.actors, ActorKind::kJoin, &Actor::kind), 2 * tp);
  }
  topology::Topology one = sample_topology(4);
  for (topology::Node& node : one.nodes) node.datacenter = "east";
  const Plan plan = make_plan(shared_job(1, 2, 2), one).value();
  EXPECT_EQ(std::ranges::count(plan.actors, ActorKind::kJoin, &Actor::kind), 0)
      << "on a fast network it is as much either way";
}

TEST(TensorPlan, HostilePlansAreRefused) {
  const Plan good = make_plan(shared_job(1, 2, 2), sample_topology(4)).value();
  ASSERT_TRUE(validate(good).ok());
  const auto refused = [](const Plan& plan, const char* what) {
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto) << what;
  };
  const auto first = [](Plan& plan, ActorKind kind) -> Actor& {
    return *std::ranges::find(plan.actors, kind, &Actor::kind);
  };
  Plan plan = good;
  plan.ranks = 1;
  refused(plan, "one rank");
  plan = good;
  plan.ranks = 4;
  refused(plan, "more ranks");
  plan = good;
  plan.ranks = 3;
  refused(plan, "three ranks");
  plan = good;
  plan.ranks = 1u << 31;
  refused(plan, "ranks beyond counting");
  plan = good;
  first(plan, ActorKind::kLayerShard).rank = 2;
  refused(plan, "a rank that is not there");
  plan = good;
  first(plan, ActorKind::kLayerShard).last_layer = ~0u;
  refused(plan, "more layers than acts");
  plan = good;
  first(plan, ActorKind::kLayerShard).last_layer -= 1;
  refused(plan, "fewer layers than acts");
  plan = good;
  first(plan, ActorKind::kAllReduce).acts.pop_back();
  refused(plan, "an exchange less");
  plan = good;
  first(plan, ActorKind::kAllReduce).acts.clear();
  refused(plan, "no acts");
  plan = good;
  first(plan, ActorKind::kOptimizer).acts.erase(first(plan, ActorKind::kOptimizer).acts.begin());
  refused(plan, "an optimizer that takes nothing");
  plan = good;
  first(plan, ActorKind::kAllReduce).kind = ActorKind::kGradientSync;
  refused(plan, "a sum as a sync");
  plan = sample_plan(1, 2, 2);
  first(plan, ActorKind::kParameterStore).kind = ActorKind::kAllReduce;
  refused(plan, "a sum without ranks");
}

TEST(TensorPlan, JobsSayWhatCannotBe) {
  const auto error = [](const std::string& fields, const std::string& more = "") {
    std::string yaml = sample_yaml();
    yaml.replace(yaml.find("    dp: 2\n"), 10, "    dp: 2\n    " + fields + "\n");
    const auto job = job::parse_job(yaml + more, "sample.yaml");
    EXPECT_FALSE(job.ok());
    return job.ok() ? std::string() : job.error().text();
  };
  EXPECT_NE(error("tp: 3").find("3 is not a power of two; the nearest are 2 and 4"),
            std::string::npos);
  EXPECT_NE(error("tp: 8").find("8 ranks cannot share 6 heads"), std::string::npos);
  EXPECT_NE(error("tp: 2", "  codecs: {gradients: \"top-k:0.01\"}\n").find("use tp 1"),
            std::string::npos);
  EXPECT_NE(
      error("tp: 2", "  codecs: {activations: \"auto:0.01\"}\n").find("see different numbers"),
      std::string::npos);
}

}  // namespace
}  // namespace reef::plan
