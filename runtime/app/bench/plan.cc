// How long a plan for a thousand devices takes to make, prove and play.

#include <algorithm>

#include "runtime/app/bench/bench.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/simulate.h"

namespace reef::app {
namespace {

constexpr double kTargetSeconds = 1;
constexpr int kSamples = 5;
constexpr int kSearches = 3;
constexpr double kSearchSeconds = 10;

/// 64 replicas of 16 stages on 1,024 devices in four datacenters; as configs/jobs/thousand.yaml.
job::Job thousand_job() {
  job::Job job;
  job.name = "thousand";
  nn::GptConfig model;
  model.vocab_size = 50257;
  model.n_positions = 1024;
  model.n_embd = 2048;
  model.n_layer = 32;
  model.n_head = 16;
  job.model = model;
  job.training.steps = 1;
  job.training.leaves = 1024;
  job.training.sequences_per_leaf = 4;
  job.training.context = 1024;
  job.training.precision = nn::Precision::kBF16;
  job.parallelism.dp = 64;
  job.parallelism.pp = 16;
  job.codecs.gradients = "bf16";
  return job;
}

topology::Topology thousand_topology() {
  topology::Topology topology;
  topology.name = "thousand";
  const std::vector<std::string> datacenters = {"north", "south", "east", "west"};
  for (const std::string& datacenter : datacenters) {
    for (int i = 0; i < 256; ++i) {
      topology::Node node;
      node.name = datacenter + "-" + std::to_string(i);
      node.datacenter = datacenter;
      node.memory = std::uint64_t{80} << 30;
      node.device = {200e12, 2e12, false};
      topology.nodes.push_back(std::move(node));
    }
  }
  for (std::size_t i = 0; i < datacenters.size(); ++i) {
    for (std::size_t k = i + 1; k < datacenters.size(); ++k) {
      topology.lines.push_back(
          {datacenters[i], datacenters[k], 400e9, std::chrono::milliseconds(20)});
    }
  }
  return topology;
}

/// Seconds of make_plan(), which proves the plan and predicts it with a simulation of its own, and
/// of one more simulation.
Result<double> plan_and_simulate(const job::Job& job, const topology::Topology& topology) {
  const Time start = system_clock().now();
  ATOLL_ASSIGN(const auto plan, plan::make_plan(job, topology));
  plan::simulate(plan, topology, job::spec_of(job), plan::tokens_per_shard(job));
  return seconds(system_clock().now() - start);
}

Result<int> bench_plan(bool json) {
  const job::Job job = thousand_job();
  const topology::Topology topology = thousand_topology();
  std::vector<double> taken;
  for (int i = 0; i < kSamples; ++i) {
    ATOLL_ASSIGN(taken.emplace_back(), plan_and_simulate(job, topology));
  }
  print_row(
      {.name = "simulate-1000", .ours = median(taken), .theirs = {}, .target = kTargetSeconds},
      json);

  job::Job open = job;
  open.parallelism = {};
  open.parallelism.mode = job::Parallelism::Mode::kAuto;
  taken.clear();
  for (int i = 0; i < kSearches; ++i) {
    ATOLL_ASSIGN(taken.emplace_back(), plan_and_simulate(open, topology));
  }
  print_row({.name = "search-1000", .ours = median(taken), .theirs = {}, .target = kSearchSeconds},
            json);
  return 0;
}

}  // namespace

void add_bench_plan(CLI::App& bench, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = bench.add_subcommand("plan",
                                           "Seconds to plan a job on 1,024 devices (lay out, "
                                           "prove, predict) and to simulate its step, as it "
                                           "is laid out by hand and in mode auto");
  command->add_flag("--json", *json, "Print the row as JSON");
  command->callback([json, &action] { action = [json] { return bench_plan(*json); }; });
}

}  // namespace reef::app
