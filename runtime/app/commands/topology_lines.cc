// `atoll topology lines`: what the lines of a running cluster can do.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/line_survey.h"

namespace reef::app {
namespace {

struct LinesOptions {
  std::string topology, identity, scheduler;
  node::TestLine test;
  bool json = false;
};

struct Line {
  LineEnds ends;
  std::optional<link::LineReport> report;  ///< none: nobody could measure it
};

/// A line that fails, fails the command: half a topology is none.
Result<std::vector<Line>> measure(const LinesOptions& options) {
  ATOLL_ASSIGN(const auto topology, topology::read_topology(options.topology));
  ATOLL_ASSIGN(const auto address, parse_address(options.scheduler, "--scheduler"));
  ATOLL_ASSIGN(const auto identity, node::load_identity(options.identity));
  ATOLL_ASSIGN(const auto client, Client::connect(identity, address.first, address.second));
  std::vector<Line> lines;
  for (const LineEnds& ends : lines_to_measure(topology)) {
    Line& line = lines.emplace_back(Line{ends, std::nullopt});
    if (ends.from.empty()) continue;
    std::cerr << fmt::format("measuring {} -> {}\n", ends.from, ends.to);
    node::TestLine test = options.test;
    test.from = ends.from;
    test.to = ends.to;
    ATOLL_ASSIGN(node::LineResult result, test_line(*client, test));
    if (!result.report.ok()) return result.report.error();
    line.report = std::move(*result.report);
  }
  return lines;
}

void print(const std::vector<Line>& lines) {
  std::cout << "  lines:\n";
  for (const Line& line : lines) {
    const auto& [near, far, from, to] = line.ends;
    if (line.report) {
      std::cout << fmt::format("    - {}  # {} to {}\n", line_text(near, far, *line.report), from,
                               to);
    } else {
      std::cout << fmt::format(
          "    # {} and {}: not measured, since none of their nodes can be dialled by another\n",
          near, far);
    }
  }
}

nlohmann::ordered_json to_json(const std::vector<Line>& lines) {
  auto json = nlohmann::ordered_json::array();
  for (const Line& line : lines) {
    auto& one = json.emplace_back(
        nlohmann::ordered_json{{"between", {line.ends.from_datacenter, line.ends.to_datacenter}},
                               {"measured", line.report.has_value()}});
    if (!line.report) continue;
    one["from"] = line.ends.from;
    one["to"] = line.ends.to;
    one["rate"] = line.report->best().rate;
    one["round_trip_ms"] =
        std::chrono::duration<double, std::milli>(line.report->round_trip).count();
    one["streams"] = line.report->best().streams;
  }
  return json;
}

Result<int> run_lines(const LinesOptions& options) {
  ATOLL_ASSIGN(const std::vector<Line> lines, measure(options));
  if (options.json) {
    std::cout << to_json(lines).dump() << std::endl;
  } else {
    print(lines);
  }
  return 0;
}

}  // namespace

void add_topology_lines(CLI::App& topology, Action& action) {
  auto options = std::make_shared<LinesOptions>();
  options->test.streams = {1, 8};
  CLI::App* command = topology.add_subcommand(
      "lines",
      "Measure the lines of a running cluster, between datacenters and within each, one after the\n"
      "other, and print them as a topology says them. The scheduler keeps the figures for the "
      "plans\n"
      "that follow; one line more closely: 'atoll link test'");
  command->add_option("topology", options->topology, "Topology (YAML) that the scheduler serves")
      ->required();
  command->add_option("--identity", options->identity, "Folder of a client's identity")->required();
  command->add_option("--scheduler", options->scheduler, "HOST:PORT of the scheduler")->required();
  command->add_option("--streams", options->test.streams, "Counts of data streams to try")
      ->delimiter(',')
      ->expected(1, 16)
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--seconds", options->test.seconds, "Of load for each count")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->callback([options, &action] { action = [options] { return run_lines(*options); }; });
}

}  // namespace reef::app
