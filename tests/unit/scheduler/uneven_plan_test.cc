// Plans whose replicas take unequally many micro-batches.

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string_view>

#include "samples.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/search.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

using Counts = std::vector<std::uint32_t>;

job::Job uneven_job(Counts counts, std::uint32_t pp = 1, std::uint32_t tp = 1, std::uint32_t cp = 1,
                    std::uint32_t zero_stage = 0, const char* schedule = "1f1b") {
  job::Job job = sample_job(static_cast<std::uint32_t>(counts.size()), pp);
  job.parallelism.tp = tp;
  job.parallelism.cp = cp;
  job.parallelism.zero_stage = zero_stage;
  job.parallelism.schedule = job::parse_schedule(schedule).value();
  job.parallelism.micro_batches = std::move(counts);
  return job;
}

Plan uneven_plan(Counts counts, std::uint32_t nodes, std::uint32_t pp = 1, std::uint32_t cp = 1) {
  return make_plan(uneven_job(std::move(counts), pp, 1, cp), sample_topology(nodes)).value();
}

/// Two devices in one place, the second `ratio` times as fast.
topology::Topology unequal_pair(double ratio) {
  topology::Topology topology = sample_topology(2);
  for (topology::Node& node : topology.nodes) node.datacenter = "east";
  topology.nodes[0].device.speed = 10e9;
  topology.nodes[1].device.speed = ratio * 10e9;
  return topology;
}

TEST(UnevenPlan, IsLiveInEveryMix) {
  for (const Counts& counts : {Counts{6, 2}, Counts{5, 3}, Counts{7, 1}, Counts{1, 1, 2, 4}}) {
    const auto dp = static_cast<std::uint32_t>(counts.size());
    for (const char* schedule : {"1f1b", "zero-bubble", "interleaved:2"}) {
      for (const std::uint32_t pp : {1u, 2u}) {
        for (const std::uint32_t tp : {1u, 2u}) {
          for (const std::uint32_t cp : {1u, 2u, 4u}) {
            for (const std::uint32_t zero : {0u, 1u}) {
              if (pp == 1 && std::string_view(schedule) != "1f1b") continue;
              const auto plan = make_plan(uneven_job(counts, pp, tp, cp, zero, schedule),
                                          sample_topology(dp * pp));
              ASSERT_TRUE(plan.ok()) << plan.error().text();
              EXPECT_EQ(plan->micro_batches, counts);
              EXPECT_FALSE(plan->reproducible);
              EXPECT_GT(plan->predicted_step_seconds, 0);
              EXPECT_EQ(decode(encode(*plan)).value(), *plan);
            }
          }
        }
      }
    }
  }
}

TEST(UnevenPlan, EachReplicaFiresAsOftenAsItHasMicroBatches) {
  const Counts counts{1, 1, 2, 4};
  const Plan plan = uneven_plan(counts, 8, 2);
  for (const Actor& actor : plan.actors) {
    if (actor.kind == ActorKind::kDataLoader) {
      EXPECT_EQ(actor.acts[0].firings, counts[actor.replica]);
    } else if (actor.kind == ActorKind::kLayerShard) {
      for (const Act& act : actor.acts) EXPECT_EQ(act.firings, counts[actor.replica]) << act.name;
    } else if (actor.kind == ActorKind::kMetrics) {
      for (std::size_t r = 0; r < 4; ++r) EXPECT_EQ(actor.acts[r].firings, counts[r]);
    } else if (actor.kind == ActorKind::kGradientSync) {
      for (const Act& act : actor.acts) EXPECT_EQ(act.firings, 1u) << act.name;
    }
  }
}

TEST(UnevenPlan, HoldsNoMoreOfAReplicaThanItTakes) {
  Plan plan = uneven_plan({7, 1}, 2, 2);
  EXPECT_EQ(edge_named(plan, "stash.r1.s0").slots, 1u);
  EXPECT_GT(edge_named(plan, "stash.r0.s0").slots, 1u);
  const auto sums = [&](std::uint32_t replica) {
    const auto shard = std::ranges::find_if(plan.actors, [&](const Actor& actor) {
      return actor.kind == ActorKind::kLayerShard && actor.replica == replica && actor.stage == 0;
    });
    return shard->state_bytes;
  };
  EXPECT_EQ(sums(0), 3 * sums(1));  // of seven three partial sums may wait, of one itself
}

TEST(UnevenPlan, ListsNoEqualCounts) {
  const Plan plan = uneven_plan({4, 4}, 2);
  EXPECT_TRUE(plan.micro_batches.empty());
  EXPECT_TRUE(plan.reproducible);
  Plan equal = sample_plan(2, 1, 2);
  equal.descriptor = plan.descriptor;
  EXPECT_EQ(plan, equal);
}

TEST(UnevenPlan, IsPrintedWithItsCountsAndWhyItIsNotReproducible) {
  const Plan plan = uneven_plan({5, 3}, 2);
  std::ostringstream out;
  print_plan(plan, out);
  EXPECT_NE(out.str().find("2 replicas x 1 stages, 5:3 micro-batches a round, by replica"),
            std::string::npos)
      << out.str();
  EXPECT_NE(out.str().find("dp 2 x pp 1, 1f1b, micro-batches 5:3"), std::string::npos);
  EXPECT_NE(out.str().find("reproducible  no: replicas take unequally many"), std::string::npos);
}

TEST(UnevenPlan, HostilePlansAreRefused) {
  const auto refused = [](const Plan& plan, const char* what) {
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto) << what;
  };
  for (const std::uint32_t cp : {1u, 2u}) {
    const Plan good = uneven_plan({5, 3}, 2, 1, cp);
    ASSERT_TRUE(validate(good).ok());
    for (const Counts& counts :
         {Counts{}, Counts{3, 5}, Counts{8, 0}, Counts{0, 8}, Counts{8}, Counts{5, 2}, Counts{5, 4},
          Counts{4, 4}, Counts{5, 2, 1}, Counts{5, 3, 0}, Counts{~0u, 9}, Counts(1 << 20, 1)}) {
      Plan plan = good;
      plan.micro_batches = counts;
      refused(plan, "other counts");
    }
    for (std::size_t id = 0; id < good.actors.size(); ++id) {
      for (std::size_t act = 0; act < good.actors[id].acts.size(); ++act) {
        for (const std::uint32_t firings : {0u, 2u, 3u, 5u, 8u, ~0u}) {
          if (firings == good.actors[id].acts[act].firings) continue;
          Plan plan = good;
          plan.actors[id].acts[act].firings = firings;
          refused(plan, "another rate");
        }
      }
    }
  }
  Plan plan = make_plan(uneven_job({5, 3}, 1, 1, 1, 1), sample_topology(2)).value();
  for (Actor& actor : plan.actors) {
    if (actor.kind != ActorKind::kGradientSync) continue;
    for (Act& act : actor.acts) act.firings = plan.micro_batches[actor.replica];
  }
  const Status status = validate(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().text().find("replicas meet after each"), std::string::npos);
}

/// Else a loss would have to be given in some firings only.
TEST(UnevenPlan, ReplicasCannotReportInEachOthersPlace) {
  Plan plan = uneven_plan({2, 6}, 1);
  Edge* const reports[] = {&edge_named(plan, "report.r0"), &edge_named(plan, "report.r1")};
  Actor& metrics = plan.actors[reports[0]->consumer];
  std::swap(reports[0]->consumer_act, reports[1]->consumer_act);
  std::swap(metrics.acts[0].inputs, metrics.acts[1].inputs);
  for (Edge* report : reports) {
    report->tokens = 2;
    Act& loss = plan.actors[report->producer].acts[report->producer_act];
    loss.outputs.back().group = loss.firings / 2;
    Act& record = metrics.acts[report->consumer_act];
    record.inputs[0].group = record.firings / 2;
  }
  const Status status = validate(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().text().find("ends that fire at different rates"), std::string::npos)
      << status.error().text();
}

TEST(UnevenPlan, IsFasterOnUnequalDevices) {
  const topology::Topology pair = unequal_pair(3);
  job::Job job = uneven_job({2, 6});
  job.training.sequences_per_leaf = 16;
  const Plan uneven = make_plan(job, pair).value();
  job.parallelism.micro_batches.clear();
  const Plan equal = make_plan(job, pair).value();
  EXPECT_GT(equal.predicted_step_seconds, 1.3 * uneven.predicted_step_seconds);
}

TEST(UnevenPlan, CutsStagesByWhatEachReplicaHasToDo) {
  topology::Topology topology = sample_topology(4);
  const double speeds[] = {4e9, 2e9, 1e9, 1e9};
  for (std::size_t i = 0; i < 4; ++i) topology.nodes[i].device.speed = speeds[i];
  const auto layers_of_first = [&](const Counts& counts) {
    const job::Job job = uneven_job(counts, 2);
    return cut_stages(job, topology, job::spec_of(job), placement::Spread::kReplicas)[1];
  };
  EXPECT_GT(layers_of_first({7, 1}), layers_of_first({4, 4}));
}

TEST(UnevenPlan, IsWhatTheSearchTakesForUnequalDevices) {
  job::Job job = sample_job(1, 1);
  job.parallelism.mode = job::Parallelism::Mode::kAuto;
  job.training.sequences_per_leaf = 16;
  bool both = false;
  const auto tried = [&](double ratio) {
    std::vector<Counts> counts;
    for (const Candidate& one : search(job, unequal_pair(ratio))) {
      if (one.parallelism.dp == 2) counts.push_back(one.parallelism.micro_batches);
      EXPECT_TRUE(one.parallelism.zero_stage < 2 || !one.parallelism.is_uneven());
    }
    both = std::ranges::find(counts, Counts{}) != counts.end();
    return counts;
  };
  const auto unequal = tried(3);
  EXPECT_TRUE(both);
  EXPECT_EQ(unequal.front(), (Counts{2, 6}));
  for (const Counts& counts : tried(1)) EXPECT_TRUE(counts.empty());
  for (const Counts& counts : tried(1.05)) EXPECT_TRUE(counts.empty());
}

TEST(UnevenPlan, JobsSayWhatCannotBe) {
  const auto error = [](const std::string& fields) {
    std::string yaml = sample_yaml();
    yaml.replace(yaml.find("    dp: 2\n"), 10, "    dp: 2\n    " + fields + "\n");
    const auto job = job::parse_job(yaml, "sample.yaml");
    EXPECT_FALSE(job.ok()) << fields;
    return job.ok() ? std::string() : job.error().text();
  };
  EXPECT_EQ(
      error("micro_batches: [5, 4]"),
      "E_JOB_VALUE: sample.yaml:14:5: spec.parallelism.micro_batches: 2 counts with 9 in all, "
      "but there are dp 2 copies and 8 leaves");
  EXPECT_NE(error("micro_batches: [8]").find("1 counts with 8 in all"), std::string::npos);
  EXPECT_NE(error("micro_batches: [8, 0]").find("0 is less than 1"), std::string::npos);
  EXPECT_NE(error("micro_batches: 8").find("expected a list"), std::string::npos);
  EXPECT_NE(error("micro_batches: [5, 3]\n    zero_stage: 2").find("use zero_stage 1"),
            std::string::npos);
  std::string yaml = sample_yaml();
  yaml.replace(yaml.find("    dp: 2\n    pp: 2\n"), 20,
               "    mode: auto\n    micro_batches: [5, 3]\n");
  EXPECT_NE(job::parse_job(yaml, "x.yaml").error().text().find("chosen by the planner"),
            std::string::npos);
}

TEST(UnevenPlan, JobsKeepWhatTheySay) {
  const job::Job job = uneven_job({1, 1, 2, 4});
  EXPECT_EQ(job::job_from_json(job::job_to_json(job)).value(), job);
}

}  // namespace
}  // namespace reef::plan
