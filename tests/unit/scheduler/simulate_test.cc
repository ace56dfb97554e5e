#include "scheduler/plan/simulate.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "runtime/base/file.h"
#include "samples.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/chrome_trace.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/memory.h"

namespace reef::plan {
namespace {

/// A job on its topology, played.
struct Played {
  job::Job job;
  topology::Topology topology;
  Plan plan;

  Played(std::uint32_t replicas, std::uint32_t stages, std::uint32_t nodes,
         std::uint32_t zero_stage = 0)
      : job(sharing(sample_job(replicas, stages), zero_stage)),
        topology(sample_topology(nodes)),
        plan(*make_plan(job, topology)) {}

  static job::Job sharing(job::Job job, std::uint32_t zero_stage) {
    job.parallelism.zero_stage = zero_stage;
    return job;
  }

  nn::ModelSpec spec() const { return job::spec_of(job); }
  Forecast play(std::uint64_t rounds = 3, const SpanSink& sink = nullptr) const {
    return simulate(plan, topology, spec(), tokens_per_leaf(job), rounds, sink);
  }
};

/// Gives every node the speed at which its one stage takes a second forward, and lines that cost
/// nothing.
void make_even(Played& played) {
  for (topology::Line& line : played.topology.lines) line = {line.from, line.to, 1e18, {}};
  for (const Actor& actor : played.plan.actors) {
    if (actor.kind != ActorKind::kLayerShard) continue;
    const auto layers = cost::range_cost(played.spec(), actor.first_layer, actor.last_layer,
                                         tokens_per_leaf(played.job));
    played.plan.nodes[actor.node].device = {layers.forward_flops, 1e18, false};
  }
}

TEST(Simulate, GivesTheBubbleOfOneForwardOneBackward) {
  for (const std::uint32_t stages : {1, 2, 4}) {
    Played played(1, stages, stages);
    make_even(played);
    const Forecast forecast = played.play();
    const double micro = played.plan.leaves;
    EXPECT_NEAR(forecast.step_seconds, 3 * (micro + stages - 1), 0.02 * forecast.step_seconds);
    for (const NodeUse& use : forecast.nodes) {
      EXPECT_NEAR(use.bubble, (stages - 1) / (micro + stages - 1), 0.01) << stages;
      EXPECT_NEAR(use.compute, 3 * micro / forecast.step_seconds, 1e-6) << stages;
    }
  }
}

TEST(Simulate, SlowsDownWithTheSlowestDevice) {
  Played played(1, 2, 2);
  make_even(played);
  const double even = played.play().step_seconds;
  played.plan.nodes[1].device.speed /= 2;
  const Forecast uneven = played.play();
  EXPECT_GT(uneven.step_seconds, 1.6 * even);
  EXPECT_GT(uneven.nodes[0].bubble, uneven.nodes[1].bubble + 0.3);
}

TEST(Simulate, CarriesWhatThePlanSends) {
  const Played played(2, 2, 4);
  const Forecast forecast = played.play();
  double planned = 0, carried = 0;
  for (const Edge& edge : played.plan.edges) {
    if (edge.wire && edge.content != Content::kState)
      planned += static_cast<double>(edge.bytes) * edge.ratio * edge.tokens;
  }
  std::set<std::pair<std::string, std::string>> wide;
  for (const LineUse& use : forecast.lines) {
    carried += use.bytes;
    EXPECT_LE(use.busy, 1);
    const bool first = wide.insert({use.from, use.to}).second;
    EXPECT_TRUE(first || !use.wide) << "shared by all nodes";
  }
  EXPECT_NEAR(carried, planned, 1e-6 * planned);
  EXPECT_EQ(std::ranges::count(forecast.lines, true, &LineUse::wide), 2);  // there and back
  EXPECT_EQ(memory_of(played.plan)[0], forecast.nodes[0].memory);
}

/// Of two replicas with 4 micro-batches, on nodes that compute a second forward and two backward.
TEST(Simulate, HidesTheGradientsOfAllMicroBatchesButTheLastBehindTheNext) {
  double steps[3];
  for (const std::uint32_t zero_stage : {1, 2}) {
    Played played(2, 1, 2, zero_stage);
    make_even(played);
    // A micro-batch's half of the gradients takes a second, and weights nothing.
    std::uint64_t half = 0;
    for (Edge& edge : played.plan.edges) {
      if (!edge.wire) continue;
      if (edge.content == Content::kGradient)
        half = std::max(half, edge.bytes);
      else
        edge.ratio = 1e-9;
    }
    for (topology::Line& line : played.topology.lines) line.rate = 8 * static_cast<double>(half);
    steps[zero_stage] = played.play().step_seconds;
  }
  EXPECT_NEAR(steps[1], 4 * 3 + 1, 0.2);
  EXPECT_NEAR(steps[2], steps[1], 0.2);
}

TEST(Simulate, IsFasterOnAFasterLine) {
  Played played(2, 1, 2);
  const double slow = played.play().step_seconds;
  EXPECT_EQ(slow, played.plan.predicted_step_seconds);
  played.topology.lines[0].rate *= 10;
  EXPECT_LT(played.play().step_seconds, slow);
}

/// However slow the line is: what no step waits for may be a round late on it.
TEST(Simulate, TakesAsManyTimesAsLongAsALineIsSlower) {
  Played played(2, 2, 4);
  played.topology.lines[0].rate = 1e5;
  const double slow = played.play().step_seconds;
  played.topology.lines[0].rate = 1e4;
  EXPECT_NEAR(played.play().step_seconds / slow, 10, 0.5);
}

TEST(Simulate, CrossesALongLineOnceThereAndOnceBackBetweenTwoSteps) {
  const auto step_at = [](Duration round_trip) {
    Played played(1, 2, 2);
    played.job.training.leaves = 32;
    for (topology::Line& line : played.topology.lines) {
      line.rate = 1e18;
      line.round_trip = round_trip;
    }
    for (topology::Node& node : played.topology.nodes) node.device = {1e9, 1e18, false};
    played.plan = *make_plan(played.job, played.topology);
    return played.play().step_seconds;
  };
  // The last gradient has to come back, and the first activation or the head's weights to go out.
  const double way = step_at(std::chrono::milliseconds(20)) - step_at({});
  EXPECT_GT(way, 0.015);
  EXPECT_LT(way, 0.025);
}

TEST(Simulate, FiresEveryActOfEveryRoundAndNoTwoAtOnceOnAStream) {
  const Played played(2, 2, 2);
  std::uint64_t firings = 0;
  for (const Actor& actor : played.plan.actors) {
    for (const Act& act : actor.acts) firings += act.firings;
  }
  std::map<std::pair<Span::On, std::uint32_t>, double> free_at;
  double last_start = 0;
  const Forecast forecast = played.play(3, [&](const Span& span) {
    EXPECT_GE(span.start, last_start);
    last_start = span.start;
    double& free = free_at[{span.on, span.place}];
    EXPECT_GE(span.start, free) << span.actor->name;
    free = span.start + span.seconds;
    const bool on_device = span.on == Span::On::kCompute;
    EXPECT_TRUE(span.on == Span::On::kLine || on_device == computes(span.actor->kind))
        << span.actor->name;
  });
  EXPECT_EQ(forecast.firings, 3 * firings);
}

TEST(Simulate, TakesTheSameTimeInEveryLaterRound) {
  const Played played(2, 2, 4);
  EXPECT_NEAR(played.play(3).step_seconds, played.play(6).step_seconds,
              0.01 * played.play(3).step_seconds);
  EXPECT_GT(played.play(1).step_seconds, 0);
}

TEST(ChromeTrace, IsJsonWithAProcessForEachNode) {
  const Played played(2, 2, 2);
  std::ostringstream out;
  ChromeTrace trace(played.plan, out);
  std::uint64_t spans = 0;
  const Forecast forecast = played.play(2, [&](const Span& span) {
    trace.add(span);
    ++spans;
  });
  trace.finish(forecast);
  const auto document = nlohmann::json::parse(out.str());
  std::map<std::uint64_t, std::string> processes;
  std::uint64_t complete = 0;
  for (const auto& event : document["traceEvents"]) {
    if (event["ph"] == "X") {
      ++complete;
      EXPECT_GE(event["dur"].get<double>(), 0);
      EXPECT_LE(event["pid"].get<std::uint64_t>(), played.plan.nodes.size());
      EXPECT_TRUE(event["args"].contains("round"));
    } else if (event["name"] == "process_name") {
      processes[event["pid"]] = event["args"]["name"];
    }
  }
  EXPECT_EQ(complete, spans);
  EXPECT_EQ(processes,
            (std::map<std::uint64_t, std::string>{{0, "node-0"}, {1, "node-1"}, {2, "lines"}}));
}

TEST(Simulate, PlaysTheExampleOfAThousandDevices) {
  const std::string file = "configs/jobs/thousand.yaml";
  const auto job = job::read_job_without_data(file);
  ASSERT_TRUE(job.ok()) << job.error().text();
  const auto topology = topology::read_topology(job->topology);
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  ASSERT_EQ(topology->nodes.size(), 1024u);
  const auto plan = make_plan(*job, *topology);
  ASSERT_TRUE(plan.ok()) << plan.error().text();
  const Forecast forecast = simulate(*plan, *topology, job::spec_of(*job), tokens_per_leaf(*job));
  EXPECT_EQ(forecast.step_seconds, plan->predicted_step_seconds);
  for (const NodeUse& use : forecast.nodes) {
    EXPECT_GT(use.compute, 0);
    EXPECT_LE(use.compute, 1);
    EXPECT_LE(use.memory, topology->nodes[0].memory);
  }
}

}  // namespace
}  // namespace reef::plan
