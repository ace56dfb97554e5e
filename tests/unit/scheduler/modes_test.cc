// How datacenters work together where the planner chooses it.

#include "scheduler/plan/modes.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "samples.h"
#include "scheduler/cost/quality.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/print_choice.h"
#include "scheduler/plan/print_json.h"

namespace reef::plan {
namespace {

using namespace std::chrono_literals;

job::Job automatic_job() {
  job::Job job = sample_job(1, 1);
  job.parallelism.mode = job::Parallelism::Mode::kAuto;
  job.training.steps = 10'000;
  job.automatic.emplace();
  return job;
}

topology::Topology on_line(double rate, Duration round_trip, std::uint32_t nodes = 2) {
  topology::Topology topology = sample_topology(nodes);
  topology.lines[0].rate = rate;
  topology.lines[0].round_trip = round_trip;
  return topology;
}

std::vector<Mode> weighed(const job::Job& job, const topology::Topology& topology) {
  const auto modes = weigh_modes(job, topology);
  EXPECT_TRUE(modes.ok()) << modes.error().text();
  return *modes;
}

TEST(Modes, OnAFastLineDatacentersStayInLockStepWithoutCodecs) {
  const Mode best = weighed(automatic_job(), on_line(100e9, 100us)).front();
  EXPECT_FALSE(best.job.local_steps) << best.what;
  EXPECT_EQ(best.job.codecs.gradients, "none");
  EXPECT_EQ(best.extra_tokens, 0);
}

TEST(Modes, OnASlowLineTheyTrainByLocalSteps) {
  const std::vector<Mode> modes = weighed(automatic_job(), on_line(50e6, 100ms));
  ASSERT_TRUE(modes.front().job.local_steps) << modes.front().what;
  EXPECT_GT(modes.front().extra_tokens, 0);
  for (const Mode& mode : modes) {
    if (&mode == &modes.front()) continue;
    EXPECT_FALSE(mode.why.empty()) << mode.what;
    EXPECT_GE(mode.seconds, 0.99 * modes.front().seconds) << mode.what;
  }
}

TEST(Modes, TheSlowerTheLineTheFartherApartTheyTell) {
  job::Job job = automatic_job();
  job.automatic->extra_tokens = 10;  // whatever it costs
  std::uint64_t before = 0;
  for (const double rate : {50e6, 20e3, 2e3}) {
    const Mode best = weighed(job, on_line(rate, 100ms)).front();
    ASSERT_TRUE(best.job.local_steps) << best.what;
    EXPECT_GT(best.job.local_steps->inner_steps, before) << best.what;
    before = best.job.local_steps->inner_steps;
  }
}

TEST(Modes, APipelineAcrossTheLineIsAmongThem) {
  const job::Job job = automatic_job();
  for (const Mode& mode : weighed(job, on_line(50e6, 20ms)))
    if (mode.what.starts_with("lock-step, activations")) return;
  FAIL() << "none has stages on both sides";
}

TEST(Modes, WhatCostsMoreQualityThanTheJobAllowsIsNotTaken) {
  job::Job job = automatic_job();
  job.automatic->extra_tokens = 0;
  const std::vector<Mode> modes = weighed(job, on_line(50e6, 100ms));
  EXPECT_EQ(modes.front().extra_tokens, 0) << modes.front().what;
  const auto local = std::ranges::find_if(
      modes, [](const Mode& mode) { return mode.job.local_steps.has_value(); });
  ASSERT_NE(local, modes.end());
  EXPECT_NE(local->why.find("more text; extra_tokens allows 0 %"), std::string::npos) << local->why;
  EXPECT_LT(local->seconds, modes.front().seconds);
}

TEST(Modes, WhatCannotBeSaysWhy) {
  job::Job job = automatic_job();
  job.training.leaves = 1;
  const std::vector<Mode> modes = weighed(job, on_line(50e6, 100ms));
  EXPECT_EQ(modes.back().tokens_per_second, 0);
  EXPECT_EQ(modes.back().why, "1 leaves are fewer than 2 datacenters");
  const auto tight = weigh_modes(automatic_job(), sample_topology(2, 4096));
  ASSERT_FALSE(tight.ok());
  EXPECT_EQ(tight.error().code, Code::kNoFit);
}

TEST(Modes, ASingleDatacenterHasNobodyToTell) {
  topology::Topology topology = sample_topology(2);
  topology.nodes[1].datacenter = "east";
  for (const Mode& mode : weighed(automatic_job(), topology))
    EXPECT_FALSE(mode.job.local_steps) << mode.what;
}

/// Three datacenters share eight leaves as two each, and make more steps for it.
TEST(Modes, LocalStepsSeeAsMuchText) {
  const job::Job job = automatic_job();
  const auto shared = job::in_local_steps(job, 3, job.automatic->local);
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->training.leaves, 2u);
  EXPECT_NEAR(static_cast<double>(shared->training.steps), 10'000 * 8 / 6.0, 1);
  EXPECT_FALSE(job::in_local_steps(job, 9, job.automatic->local));
}

TEST(Modes, PlansAreOfTheModeThatWasTakenAndSayIt) {
  const job::Job job = automatic_job();
  const topology::Topology slow = on_line(50e6, 100ms);
  const auto choices = choose_plans(job, slow);
  ASSERT_TRUE(choices.ok()) << choices.error().text();
  ASSERT_EQ(choices->size(), 2u);
  const Choice& first = choices->front();
  const job::Job own = job::job_from_json(first.plan.descriptor).value();
  EXPECT_FALSE(own.automatic);
  ASSERT_TRUE(own.island);
  EXPECT_EQ(own.training.leaves, 4u);
  EXPECT_EQ(own.local_steps->inner_steps, first.modes.front().job.local_steps->inner_steps);

  std::ostringstream text;
  print_modes(first, slow.lines, text);
  EXPECT_NE(text.str().find("line east to west: 50.0Mbit/s, 0.1s there and back, 8 streams"),
            std::string::npos)
      << text.str();
  EXPECT_NE(text.str().find("  taken  local steps: every "), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("lock-step, activations none"), std::string::npos) << text.str();
  const auto json = nlohmann::json::parse(plan_to_json(first.plan, first.modes));
  EXPECT_EQ(json["modes"].size(), first.modes.size());
  EXPECT_EQ(json["modes"][0]["why"], "");

  EXPECT_EQ(choose_plans(job, on_line(100e9, 100us))->size(), 1u);
  EXPECT_EQ(choose_plan(job, slow).error().code, Code::kUsage);
}

TEST(Modes, TheSameJobAndTopologyGiveTheSameMode) {
  const auto one = weighed(automatic_job(), on_line(50e6, 100ms, 4));
  const auto other = weighed(automatic_job(), on_line(50e6, 100ms, 4));
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].what, other[i].what);
    EXPECT_EQ(one[i].seconds, other[i].seconds);
  }
}

TEST(Modes, AJobSurvivesBeingWrittenDown) {
  job::Job job = automatic_job();
  job.automatic->extra_tokens = 0.5;
  job.automatic->local.outer_momentum = 0.6;
  job.automatic->local.own_pace = false;
  job.automatic->local.quorum = 2;
  job.automatic->local.grace = 1500ms;
  const auto again = job::job_from_json(job::job_to_json(job));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*again, job);
}

TEST(Modes, ADescriptorNeedsNoMoreThanTheMode) {
  std::string yaml = sample_yaml();
  yaml.resize(yaml.find("  parallelism:"));
  const auto job = job::parse_job(yaml + "  datacenters: {mode: auto}\n", "x.yaml");
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_TRUE(job->automatic);
  EXPECT_EQ(job->parallelism.mode, job::Parallelism::Mode::kAuto);
  EXPECT_EQ(job->automatic->local.loss_guard, 0);  // there is nothing to look at
  const auto looks =
      job::parse_job(yaml + "  datacenters: {mode: auto}\n  evaluation: {every: 10}\n", "x.yaml");
  ASSERT_TRUE(looks.ok()) << looks.error().text();
  EXPECT_EQ(looks->automatic->local.loss_guard, 0.02);
  const auto fixed = job::parse_job(sample_yaml() + "  datacenters: {mode: auto}\n", "x.yaml");
  ASSERT_FALSE(fixed.ok());
  EXPECT_EQ(
      fixed.error().text(),
      "E_JOB_VALUE: x.yaml:12:3: spec.parallelism: is chosen by the planner where datacenters "
      "have mode auto; leave it out, or say mode: auto in it, too");
}

/// The figures of the sources, which the header names.
TEST(Quality, IsWhatTheTableSays) {
  EXPECT_NEAR(cost::loss_of_local_steps({2, 30, 2}), 0.0047, 1e-9);
  EXPECT_NEAR(cost::loss_of_local_steps({4, 30, 2}), 0.0150, 4e-4);
  EXPECT_NEAR(cost::loss_of_local_steps({8, 30, 2}), 0.0305, 6e-4);
  EXPECT_NEAR(cost::loss_of_local_steps({2, 1000, 2}) - cost::loss_of_local_steps({2, 50, 2}),
              0.004 * std::log2(20), 1e-9);
  EXPECT_GT(cost::loss_of_local_steps({2, 30, 20}), cost::loss_of_local_steps({2, 30, 5}));
  EXPECT_EQ(cost::loss_of_local_steps({1, 30, 20}), 0);
  EXPECT_EQ(cost::loss_of_codec("none+zstd", false), 0);
  EXPECT_LT(cost::loss_of_codec("int8", false), cost::loss_of_codec("int4+zstd", false));
  EXPECT_EQ(cost::loss_of_codec("int4+zstd", true), 0);
  EXPECT_GT(cost::loss_of_codec("top-k:0.1", true), 0);
  const auto loss_of = [](double text) {
    return 1.69 + 406.4 / std::pow(4e8, 0.34) + 410.7 / std::pow(text, 0.28);
  };
  for (const double loss : {0.0, 0.003, 0.01, 0.03, 0.1}) {
    const double text = 8e9 * (1 + cost::text_for_loss(loss));
    EXPECT_NEAR(loss_of(text) * (1 + loss), loss_of(8e9), 1e-4) << loss;
  }
  EXPECT_EQ(cost::text_for_loss(0.5), 1000);
}

struct Refused {
  const char* fields;
  const char* message;
};
class BadModes : public testing::TestWithParam<Refused> {};

TEST_P(BadModes, AreRefusedInOneExactLine) {
  std::string yaml = sample_yaml();
  yaml.resize(yaml.find("  parallelism:"));
  const auto job = job::parse_job(yaml + "  " + GetParam().fields + "\n", "x.yaml");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().text(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadModes,
    testing::Values(
        Refused{"datacenters: {mode: auto, inner_steps: 8}",
                "E_JOB_VALUE: x.yaml:12:29: spec.datacenters.inner_steps: is chosen by the planner "
                "where datacenters have mode auto; leave it out, or say mode: local_steps"},
        Refused{"datacenters: {mode: local_steps, extra_tokens: 1}",
                "E_JOB_VALUE: x.yaml:12:36: spec.datacenters.extra_tokens: is of mode auto; leave "
                "it out, or say mode: auto"},
        Refused{"datacenters: {mode: auto}\n  codecs: {gradients: int8}",
                "E_JOB_VALUE: x.yaml:13:3: spec.codecs: is chosen by the planner where datacenters "
                "have mode auto; leave it out, or say a mode"}));

}  // namespace
}  // namespace reef::plan
