// Jobs whose datacenters train by local steps: their descriptors, and a plan for each of them.

#include "scheduler/plan/islands.h"

#include <algorithm>

#include "samples.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

job::Job sample_islands(std::uint32_t replicas, std::uint32_t stages) {
  job::Job job = sample_job(replicas, stages);
  job.local_steps.emplace();
  return job;
}

const Actor& outer_store(const Plan& plan) {
  return *std::ranges::find(plan.actors, ActorKind::kOuterStore, &Actor::kind);
}

TEST(Islands, EachDatacenterHasAPlanOfItsOwn) {
  const auto plans = make_plans(sample_islands(2, 1), sample_topology(4));
  ASSERT_TRUE(plans.ok()) << plans.error().text();
  ASSERT_EQ(plans->size(), 2u);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const Plan& plan = (*plans)[i];
    EXPECT_TRUE(validate(plan).ok()) << validate(plan).error().text();
    const std::string datacenter = i == 0 ? "east" : "west";
    for (const Node& node : plan.nodes) EXPECT_EQ(node.datacenter, datacenter);
    const job::Job job = job::job_from_json(plan.descriptor).value();
    ASSERT_TRUE(job.island);
    EXPECT_EQ(job.island->index, i);
    EXPECT_EQ(job.island->datacenters, (std::vector<std::string>{"east", "west"}));
    EXPECT_EQ(job.training.steps, 100u);  // alike machines make as many
    // One of two equal replicas tells; both are corrected.
    EXPECT_EQ(outer_store(plan).acts[0].inputs.size(), 1u);
    EXPECT_EQ(outer_store(plan).acts[0].outputs.size(), 2u);
    EXPECT_EQ(plan.nodes[outer_store_of(plan)].name, plan.nodes[outer_store(plan).node].name);
  }
}

TEST(Islands, WhereReplicasShareStateEachTellsItsSlices) {
  job::Job job = sample_islands(2, 1);
  job.parallelism.zero_stage = 1;
  const auto plans = make_plans(job, sample_topology(4));
  ASSERT_TRUE(plans.ok()) << plans.error().text();
  EXPECT_EQ(outer_store((*plans)[0]).acts[0].inputs.size(), 2u);
  EXPECT_EQ(outer_store((*plans)[0]).acts[0].outputs.size(), 2u);
}

TEST(Islands, AJobInLockStepHasOnePlanAndNoOuterStore) {
  const auto plans = make_plans(sample_job(2, 2), sample_topology(4));
  ASSERT_TRUE(plans.ok());
  ASSERT_EQ(plans->size(), 1u);
  EXPECT_EQ(std::ranges::count((*plans)[0].actors, ActorKind::kOuterStore, &Actor::kind), 0);
}

/// Steps in all are the job's of two datacenters; what counts in steps is stretched likewise.
TEST(Islands, AFasterDatacenterMakesMoreSteps) {
  topology::Topology topology = sample_topology(2);
  topology.nodes[0].device.speed = 3e9;
  topology.nodes[1].device.speed = 1e9;
  job::Job job = sample_islands(1, 1);
  job.optimizer.warmup_steps = 10;
  const auto steps_of = [&](bool own_pace) {
    job.local_steps->own_pace = own_pace;
    std::vector<job::Job> islands;
    const auto plans = make_plans(job, topology);
    EXPECT_TRUE(plans.ok()) << plans.error().text();
    for (const Plan& plan : *plans) islands.push_back(job::job_from_json(plan.descriptor).value());
    return islands;
  };
  const auto own = steps_of(true);
  EXPECT_NEAR(own[0].training.steps, 150, 1);
  EXPECT_NEAR(own[1].training.steps, 50, 1);
  EXPECT_NEAR(own[0].local_steps->inner_steps, 48, 1);
  EXPECT_NEAR(own[1].local_steps->inner_steps, 16, 1);
  EXPECT_EQ(own[1].optimizer.warmup_steps, 5u);
  const auto equal = steps_of(false);
  EXPECT_EQ(equal[0].training.steps, 100u);
  EXPECT_EQ(equal[1].training.steps, 100u);
}

/// By hand: what a codec writes of all weights, halved over two homes, both ways of progress and
/// updates.
TEST(Islands, APlanSaysWhatTheLineWillCarry) {
  job::Job job = sample_islands(1, 1);
  job.local_steps->codec = "none";
  job.local_steps->inner_steps = 10;
  job.local_steps->fragments = 2;
  const topology::Topology topology = sample_topology(2);
  const auto choices = choose_plans(job, topology);
  ASSERT_TRUE(choices.ok()) << choices.error().text();
  double elements = 0;
  for (const nn::Layer& layer : job::spec_of(job).layers) {
    for (const nn::Parameter& one : layer.parameters)
      elements += static_cast<double>(one.elements());
  }
  const double step = (*choices)[0].forecast.step_seconds, carried = elements * 4 * 8 / 100e6;
  ASSERT_TRUE((*choices)[0].outer);
  const OuterForecast& outer = *(*choices)[0].outer;
  ASSERT_EQ(outer.ways.size(), 1u);
  EXPECT_EQ(outer.ways[0].to, "west");
  EXPECT_DOUBLE_EQ(outer.ways[0].bytes, elements * 4);
  EXPECT_NEAR(outer.ways[0].busy, carried / (10 * step), 1e-9);
  EXPECT_NEAR(outer.ways[0].delay, 2 + (carried + 0.02) / step, 1e-9);
  EXPECT_NEAR(outer.inner_steps, std::max(10.0, carried / step), 1e-6);
  EXPECT_FALSE(choose_plans(sample_job(1, 2), topology)->front().outer);
}

/// Nobody waits for a line, and what is told takes processors: a slow line, on which less is told,
/// costs no tokens a second.
TEST(Islands, AForecastSaysWhatLinesLeaveOfTheTokensASecond) {
  const auto outer = [](double rate, std::uint64_t inner_steps) {
    job::Job job = sample_islands(1, 1);
    job.local_steps->inner_steps = inner_steps;
    job.local_steps->fragments = 1;
    topology::Topology topology = sample_topology(2);
    topology.lines[0].rate = rate;
    const auto choices = choose_plans(job, topology);
    EXPECT_TRUE(choices.ok());
    EXPECT_EQ(choices->front().plan.predicted_step_seconds, choices->front().outer->step_seconds);
    return *choices->front().outer;
  };
  EXPECT_NEAR(outer(1e12, 32).utilisation, 1, 1e-3);
  EXPECT_NEAR(outer(5e6, 128).utilisation, 1, 1e-2);
  EXPECT_GT(outer(1e6, 1).utilisation, 1.01);
  EXPECT_GT(outer(1e6, 1).inner_steps, 10);
  EXPECT_GT(outer(1e12, 1).step_seconds, outer(1e12, 32).step_seconds);
}

TEST(Islands, OneThatDoesNotFitIsNamed) {
  topology::Topology topology = sample_topology(4);
  topology.nodes[3].memory = 4096;
  const auto plans = make_plans(sample_islands(2, 1), topology);
  ASSERT_FALSE(plans.ok());
  EXPECT_NE(plans.error().what.find("datacenter west by itself"), std::string::npos)
      << plans.error().text();
}

TEST(Islands, AQuorumOfMoreThanThereAreIsRefused) {
  job::Job job = sample_islands(1, 1);
  job.local_steps->quorum = 3;
  const auto plans = make_plans(job, sample_topology(2));
  ASSERT_FALSE(plans.ok());
  EXPECT_EQ(plans.error().text(),
            "E_JOB_VALUE: spec.datacenters.quorum: 3 datacenters, but the job has 2; there would "
            "never be an update");
}

TEST(Islands, ADatacenterThatOnlyRelaysIsNone) {
  topology::Topology topology = sample_topology(4);
  topology.nodes[2].relay_only = topology.nodes[3].relay_only = true;
  const auto plans = make_plans(sample_islands(2, 1), topology);
  ASSERT_TRUE(plans.ok()) << plans.error().text();
  EXPECT_EQ(plans->size(), 1u);
}

TEST(Islands, AJobSurvivesBeingWrittenDown) {
  job::Job job = sample_islands(1, 1);
  job.local_steps->codec = "top-k:0.02:int8+zstd";
  job.local_steps->grace = std::chrono::milliseconds(1500);
  job.local_steps->quorum = 2;
  job.local_steps->own_pace = false;
  job.local_steps->loss_guard = 0.1;
  job.evaluation.every = 10;
  job.island = {1, {"east", "west"}, 3, 40};
  const auto again = job::job_from_json(job::job_to_json(job));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*again, job);
}

struct Refused {
  const char* fields;
  const char* message;
};
class BadIslands : public testing::TestWithParam<Refused> {};

TEST_P(BadIslands, AreRefusedInOneExactLine) {
  const auto job =
      job::parse_job(sample_yaml() + "  datacenters: {" + GetParam().fields + "}\n", "x.yaml");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().text(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadIslands,
    testing::Values(
        Refused{"mode: local_steps, inner_steps: 2, fragments: 3",
                "E_JOB_VALUE: x.yaml:15:52: spec.datacenters.fragments: 3 fragments, but only 2 "
                "inner steps, after each of which at most one is told"},
        Refused{"mode: local_steps, loss_guard: 0.1",
                "E_JOB_VALUE: x.yaml:15:36: spec.datacenters.loss_guard: has no held-out losses to "
                "look at; set evaluation.every and rounds, or leave it out"},
        Refused{"inner_steps: 2",
                "E_JOB_VALUE: x.yaml:15:17: spec.datacenters.inner_steps: is of mode local_steps; "
                "leave it out, or say mode: local_steps"},
        Refused{"mode: local_steps, codec: auto",
                "E_JOB_VALUE: x.yaml:15:36: spec.datacenters.codec: auto measures a line inside a "
                "job; use int4+zstd or another by name"},
        Refused{"mode: local_steps, outer_momentum: 1",
                "E_JOB_VALUE: x.yaml:15:36: spec.datacenters.outer_momentum: 1 is not less than 1"},
        Refused{"mode: local_steps, grace: long",
                "E_JOB_VALUE: x.yaml:15:36: spec.datacenters.grace: 'long' is not a number with a "
                "unit of ns us ms s min h d; for instance 250ms"},
        Refused{"mode: local_step",
                "E_JOB_VALUE: x.yaml:15:17: spec.datacenters.mode: 'local_step' is not one of "
                "synchronous, local_steps, auto; did you mean 'local_steps'?"}));

}  // namespace
}  // namespace reef::plan
