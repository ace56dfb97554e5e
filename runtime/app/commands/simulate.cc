#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "runtime/app/commands/commands.h"
#include "runtime/app/job_run.h"
#include "runtime/app/measured.h"
#include "runtime/base/clock.h"
#include "runtime/base/units.h"
#include "scheduler/plan/chrome_trace.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/simulate.h"

namespace reef::app {
namespace {

constexpr std::size_t kMostRows = 24;  ///< of nodes and of lines, for people

struct SimulateOptions {
  std::string job, topology, trace;
  std::uint64_t rounds = 3;
  bool json = false;
};

/// What was played, and how long that took on this machine.
struct Played {
  plan::Plan plan;
  plan::Forecast forecast;
  double tokens_per_second = 0;
  Duration planning{}, simulating{};
};

Result<Played> play(const SimulateOptions& options, const job::Job& job,
                    const topology::Topology& topology) {
  Played played;
  const Time start = system_clock().now();
  ATOLL_ASSIGN(played.plan, plan::make_plan(job, topology));
  const Time planned = system_clock().now();
  const auto spec = job::spec_of(job);
  const std::uint64_t tokens = plan::tokens_per_shard(job);
  if (options.trace.empty()) {
    played.forecast = plan::simulate(played.plan, topology, spec, tokens, options.rounds);
  } else {
    std::ofstream file(options.trace);
    plan::ChromeTrace trace(played.plan, file);
    played.forecast = plan::simulate(played.plan, topology, spec, tokens, options.rounds,
                                     [&trace](const plan::Span& span) { trace.add(span); });
    trace.finish(played.forecast);
    file.close();
    if (!file) return Error{Code::kPath, options.trace, "cannot be written"};
  }
  played.planning = planned - start;
  played.simulating = system_clock().now() - planned;
  played.tokens_per_second = static_cast<double>(plan::tokens_per_leaf(job) * job.training.leaves) /
                             std::max(played.forecast.step_seconds, 1e-12);
  return played;
}

nlohmann::ordered_json to_json(const Played& played) {
  nlohmann::ordered_json json;
  json["job"] = played.plan.job;
  json["devices"] = played.plan.nodes.size();
  json["layout"] = played.plan.layout;
  json["step_seconds"] = played.forecast.step_seconds;
  json["tokens_per_second"] = played.tokens_per_second;
  if (const std::string paced = plan::paced_text(played.plan); !paced.empty())
    json["paced"] = paced;
  json["firings"] = played.forecast.firings;
  json["planning_seconds"] = seconds(played.planning);
  json["simulation_seconds"] = seconds(played.simulating);
  json["nodes"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < played.plan.nodes.size(); ++i) {
    const plan::NodeUse& use = played.forecast.nodes[i];
    json["nodes"].push_back({{"name", played.plan.nodes[i].name},
                             {"compute", use.compute},
                             {"io", use.io},
                             {"bubble", use.bubble},
                             {"memory", use.memory},
                             {"memory_limit", played.plan.nodes[i].memory}});
  }
  json["lines"] = nlohmann::ordered_json::array();
  for (const plan::LineUse& use : played.forecast.lines) {
    json["lines"].push_back({{"from", use.from},
                             {"to", use.to},
                             {"between_datacenters", use.wide},
                             {"bytes_per_step", use.bytes},
                             {"busy", use.busy}});
  }
  return json;
}

void print_nodes(const Played& played) {
  std::cout << fmt::format("\n{:<24} {:>8} {:>6} {:>7}  memory\n", "node", "compute", "io",
                           "bubble");
  for (std::size_t i = 0; i < std::min(kMostRows, played.plan.nodes.size()); ++i) {
    const plan::NodeUse& use = played.forecast.nodes[i];
    const plan::Node& node = played.plan.nodes[i];
    std::cout << fmt::format("{:<24} {:>7.1f}% {:>5.1f}% {:>6.1f}%  {} of {}{}\n", node.name,
                             100 * use.compute, 100 * use.io, 100 * use.bubble,
                             format_size(use.memory), format_size(node.memory),
                             node.device.paced ? ", PACED" : "");
  }
  if (played.plan.nodes.size() > kMostRows) {
    std::cout << fmt::format("... {} nodes more; --json has all\n",
                             played.plan.nodes.size() - kMostRows);
  }
}

/// The busiest first, those between datacenters before those within.
void print_lines(const Played& played) {
  std::vector<plan::LineUse> lines = played.forecast.lines;
  if (lines.empty()) return;
  std::ranges::stable_sort(lines, [](const plan::LineUse& a, const plan::LineUse& b) {
    return a.wide != b.wide ? a.wide : a.busy > b.busy;
  });
  std::cout << fmt::format("\n{:<40} {:>6}  bytes a step\n", "line", "busy");
  for (std::size_t i = 0; i < std::min(kMostRows, lines.size()); ++i) {
    std::cout << fmt::format("{:<40} {:>5.1f}%  {}\n", lines[i].from + " -> " + lines[i].to,
                             100 * lines[i].busy,
                             format_size(static_cast<std::uint64_t>(lines[i].bytes)));
  }
  if (lines.size() > kMostRows) {
    std::cout << fmt::format(
        "... {} lines more, all within datacenters or less busy; --json has all\n",
        lines.size() - kMostRows);
  }
}

void print(const Played& played) {
  double mean = 0, worst = 0;
  for (const plan::NodeUse& use : played.forecast.nodes) {
    mean += use.compute / static_cast<double>(played.forecast.nodes.size());
    worst = std::max(worst, use.compute);
  }
  const plan::Plan& plan = played.plan;
  std::cout << fmt::format(
      "job           {}\n"
      "devices       {}, {} replicas x {} stages, {}\n"
      "placement     {}\n"
      "step          {}, {:.0f} tokens/s\n"
      "compute       {:.1f} % of a step on the mean device, {:.1f} % on the busiest\n"
      "played        {} firings; planned in {}, simulated in {}\n",
      plan.job, plan.nodes.size(), plan.replicas, plan.stages, plan::micro_batches_text(plan),
      plan.layout,
      format_duration(std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(played.forecast.step_seconds))),
      played.tokens_per_second, 100 * mean, 100 * worst, played.forecast.firings,
      format_duration(played.planning), format_duration(played.simulating));
  if (const std::string paced = plan::paced_text(plan); !paced.empty())
    std::cout << "PACED         " << paced << '\n';
  print_nodes(played);
  print_lines(played);
}

Result<int> simulate(const SimulateOptions& options) {
  ATOLL_ASSIGN(auto job, job::read_job_without_data(options.job));
  ATOLL_TRY(job::check_trains(job));
  ATOLL_ASSIGN(const auto whole,
               read_measured_topology(options.topology.empty() ? job.topology : options.topology,
                                      job.training.precision));
  ATOLL_ASSIGN(const auto topology, topology::within(whole, job.datacenters));
  if (job.automatic) {
    ATOLL_ASSIGN(const auto modes, plan::weigh_modes(job, topology));
    job = modes.front().job;
  }
  const std::vector<job::Job> parts = plan::parts_of(job, topology);
  if (parts.size() > 1 && !options.trace.empty()) {
    return Error{Code::kUsage, "--trace",
                 "is of one plan, but each datacenter of the job has its own; name one in "
                 "placement.datacenters"};
  }
  for (const job::Job& part : parts) {
    ATOLL_ASSIGN(const Played played, play(options, part, topology));
    if (options.json) {
      std::cout << to_json(played).dump(2) << '\n';
    } else {
      print_datacenter(played.plan, std::cout);
      print(played);
    }
  }
  return 0;
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App* command = app.add_subcommand(
      "simulate", "Play a job's plan in virtual time: step, utilisation, bytes, a trace");
  command->add_option("job", options->job, "Job descriptor (YAML); its data need not be here")
      ->required();
  command->add_option("--topology", options->topology,
                      "Topology (YAML) instead of the job's; its nodes need not exist");
  command
      ->add_option("--rounds", options->rounds,
                   "Training rounds to play; figures are of those with one before and one after")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--trace", options->trace,
                      "Write a Chrome trace, for chrome://tracing and ui.perfetto.dev");
  command->add_flag("--json", options->json, "Print all figures as JSON");
  command->callback([options, &action] { action = [options] { return simulate(*options); }; });
}

}  // namespace reef::app
