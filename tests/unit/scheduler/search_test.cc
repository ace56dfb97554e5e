#include "scheduler/plan/search.h"

#include <sstream>

#include "samples.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/print_choice.h"
#include "scheduler/plan/promise.h"

namespace reef::plan {
namespace {

using job::Parallelism;

job::Job auto_job(std::uint32_t leaves) {
  job::Job job = sample_job(1, 1);
  job.parallelism.mode = Parallelism::Mode::kAuto;
  job.training.leaves = leaves;
  return job;
}

/// `nodes` of one datacenter.
topology::Topology one_place(std::uint32_t nodes, std::uint64_t memory = std::uint64_t{1} << 32) {
  topology::Topology topology = sample_topology(nodes, memory);
  for (topology::Node& node : topology.nodes) node.datacenter = "east";
  return topology;
}

TEST(Search, TakesNothingWorseThanAnyManualLayout) {
  for (const std::uint32_t nodes : {1, 2, 3, 4}) {
    for (const bool wide : {false, true}) {
      SCOPED_TRACE(testing::Message() << nodes << (wide ? " in two datacenters" : " in one"));
      const topology::Topology topology = wide ? sample_topology(nodes) : one_place(nodes);
      const auto chosen = make_plan(auto_job(8), topology);
      ASSERT_TRUE(chosen.ok()) << chosen.error().text();
      for (const std::uint32_t dp : {1, 2, 4}) {
        for (const std::uint32_t pp : {1, 2, 3, 4}) {
          if (dp * pp != nodes) continue;
          for (const char* schedule : {"1f1b", "zero-bubble"}) {
            job::Job job = auto_job(8);
            job.parallelism = {};
            job.parallelism.dp = dp;
            job.parallelism.pp = pp;
            job.parallelism.schedule = job::parse_schedule(schedule).value();
            const Plan manual = make_plan(job, topology).value();
            EXPECT_LE(chosen->predicted_step_seconds, 1.011 * manual.predicted_step_seconds)
                << chosen->layout << " against " << manual.layout;
          }
        }
      }
    }
  }
}

TEST(Search, SharesStateOutAndMoreWhereMemoryIsShort) {
  const job::Job job = auto_job(8);
  std::set<std::uint32_t> tried;
  for (const Candidate& one : search(job, one_place(4))) {
    tried.insert(one.parallelism.zero_stage);
    EXPECT_EQ(is_sharded(one.plan), one.parallelism.zero_stage > 0);
    EXPECT_TRUE(one.parallelism.zero_stage == 0 || one.parallelism.replicas() > 1);
  }
  EXPECT_EQ(tried, (std::set<std::uint32_t>{0, 1}));
  topology::Topology small = one_place(4);
  for (topology::Node& node : small.nodes) node.memory = 1 << 20;
  for (const Candidate& one : search(job, small)) tried.insert(one.parallelism.zero_stage);
  EXPECT_EQ(tried, (std::set<std::uint32_t>{0, 1, 2}));
  job::Job layers = job;  // so small a model would be one bucket, with which nothing is won
  layers.parallelism.bucket_bytes = 1 << 18;
  for (const Candidate& one : search(layers, small)) tried.insert(one.parallelism.zero_stage);
  EXPECT_EQ(tried, (std::set<std::uint32_t>{0, 1, 2, 3}));
  job::Job remembering = job;
  remembering.codecs.gradients = "top-k:0.01";
  for (const Candidate& one : search(remembering, one_place(4)))
    EXPECT_EQ(one.parallelism.zero_stage, 0u);
}

/// Of the layouts that were looked at.
std::set<std::uint32_t> contexts(const job::Job& job, const topology::Topology& topology) {
  std::set<std::uint32_t> tried;
  for (const Candidate& one : search(job, topology)) {
    tried.insert(one.parallelism.cp);
    EXPECT_TRUE(one.parallelism.cp == 1 || one.parallelism.recompute != nn::Recompute::kFull);
  }
  return tried;
}

TEST(Search, SharesSequencesWithinADatacenter) {
  const std::set<std::uint32_t> one{1};
  EXPECT_EQ(contexts(auto_job(8), one_place(4)), (std::set<std::uint32_t>{1, 2, 4}));
  EXPECT_EQ(contexts(auto_job(8), one_place(4, 1 << 20)), (std::set<std::uint32_t>{1, 2, 4}));
  EXPECT_EQ(contexts(auto_job(8), sample_topology(2)), one);
  EXPECT_EQ(contexts(auto_job(8), sample_topology(4)), (std::set<std::uint32_t>{1, 2}));
  job::Job rounding = auto_job(8);
  rounding.codecs.activations = "int8";
  EXPECT_EQ(contexts(rounding, one_place(4)), one);
}

TEST(Search, SharesTheSequencesOfAJobWithFewerLeavesThanDevices) {
  topology::Topology slow = one_place(4);
  for (topology::Node& node : slow.nodes) node.device = {1e6, 1e9};
  const auto found = search(auto_job(1), slow);
  EXPECT_GT(found[0].parallelism.cp * found[0].parallelism.tp, 2u) << describe(found[0]);
  const auto in_turn =
      std::ranges::find_if(found, [](const Candidate& one) { return one.parallelism.pp == 4; });
  ASSERT_NE(in_turn, found.end());
  EXPECT_LT(found[0].forecast.step_seconds, 0.5 * in_turn->forecast.step_seconds);
}

/// What is played first is what arithmetic promises, so it must not be far from what is played.
TEST(Search, PromisesAboutWhatASimulationSays) {
  topology::Topology unequal = one_place(4);
  for (std::size_t i = 0; i < 4; ++i) unequal.nodes[i].device.speed = i == 0 ? 1e8 : 3e8;
  for (const topology::Topology& topology : {one_place(4), unequal}) {
    const job::Job job = auto_job(8);
    const nn::ModelSpec spec = job::spec_of(job);
    const Promise promise(job, topology, spec);
    for (const Candidate& one : search(job, topology)) {
      const double ratio = promise.seconds(one.parallelism, one.spread) / one.forecast.step_seconds;
      EXPECT_GT(ratio, 0.3) << describe(one);
      EXPECT_LT(ratio, 1.7) << describe(one);
    }
  }
}

TEST(Search, SaysInThePlanWhatItChose) {
  const Plan plan = make_plan(auto_job(8), one_place(4)).value();
  const auto job = job::job_from_json(plan.descriptor);
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(job->parallelism.mode, Parallelism::Mode::kManual);
  EXPECT_EQ(job->parallelism.dp, plan.replicas);
  EXPECT_EQ(job->parallelism.stages(), plan.stages);
}

TEST(Search, LetsLittleCrossASlowLine) {
  // On a slow line few activations beat all gradients; of a small model with long leaves not.
  topology::Topology topology = sample_topology(4);
  topology.lines[0].rate = 10e6;
  job::Job job = auto_job(8);
  job.training.sequences_per_leaf = 1;
  job.training.context = 16;
  EXPECT_LT(search(job, topology).front().wide_bytes, 2e6);
  job.training.sequences_per_leaf = 64;
  job.training.context = 128;
  EXPECT_EQ(search(job, topology).front().parallelism.dp, 2u);
}

TEST(Search, RecomputesOnlyWhereItMust) {
  job::Job job = auto_job(8);
  job.training.sequences_per_leaf = 64;
  const Plan roomy = make_plan(job, one_place(1)).value();
  EXPECT_EQ(roomy.layout.find("recompute"), std::string::npos);
  const std::uint64_t needed = search(job, one_place(1)).front().forecast.nodes[0].memory;
  const auto tight = make_plan(job, one_place(1, needed - 1));
  ASSERT_TRUE(tight.ok()) << tight.error().text();
  EXPECT_NE(tight->layout.find("recompute selective"), std::string::npos) << tight->layout;
  EXPECT_GT(tight->predicted_step_seconds, roomy.predicted_step_seconds);
}

TEST(Search, SaysWhyOthersLost) {
  const auto choice = choose_plan(auto_job(8), sample_topology(4));
  ASSERT_TRUE(choice.ok()) << choice.error().text();
  ASSERT_EQ(choice->runners_up.size(), 3u);
  std::ostringstream out;
  print_choice(*choice, out);
  for (const RunnerUp& other : choice->runners_up) {
    EXPECT_FALSE(other.why.empty());
    EXPECT_NE(out.str().find(other.layout + ": "), std::string::npos) << out.str();
  }
}

TEST(Search, DrawsEveryActorAndEdge) {
  const Plan plan = make_plan(sample_job(2, 2), sample_topology(2)).value();
  std::ostringstream out;
  print_dot(plan, out);
  std::size_t arrows = 0;
  for (std::size_t at = out.str().find(" -> "); at != std::string::npos;
       at = out.str().find(" -> ", at + 1))
    ++arrows;
  EXPECT_EQ(arrows, plan.edges.size());
  EXPECT_NE(out.str().find("[label=\"layers/r1/s1\\nlayer shard\"]"), std::string::npos);
}

TEST(Search, RefusesFieldsThatModeAutoChooses) {
  std::string yaml = sample_yaml();
  yaml.replace(yaml.find("    dp: 2\n"), 10, "    mode: auto\n");
  const auto job = job::parse_job(yaml, "x.yaml");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().text(),
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.pp: is chosen by the planner in mode auto; "
            "leave it out, or say mode: manual");
}

}  // namespace
}  // namespace reef::plan
