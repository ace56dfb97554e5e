// `atoll link test`: what the line between two nodes can do.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/line_survey.h"
#include "runtime/base/units.h"

namespace reef::app {
namespace {

struct LinkTest {
  std::string identity, scheduler;
  node::TestLine test;
  bool json = false;
};

double milliseconds(Duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

void print_table(const LinkTest& options, const link::LineReport& report) {
  fmt::print("{} -> {}: round trip {:.2f} ms (fastest {:.2f})\n", options.test.from,
             options.test.to, milliseconds(report.round_trip), milliseconds(report.fastest));
  fmt::print("{:>8}  {:>12}  {:>8}  {:>24}\n", "streams", "rate", "loss", "round trip under load");
  for (const link::Trial& trial : report.trials) {
    fmt::print("{:>8}  {:>12}  {:>7.3f}%  {:>10.2f} ms (slowest {:.2f}){}\n", trial.streams,
               format_rate(trial.rate), 100 * trial.loss, milliseconds(trial.round_trip),
               milliseconds(trial.slowest), &trial == &report.best() ? "  <- best" : "");
  }
}

nlohmann::ordered_json to_json(const LinkTest& options, const link::LineReport& report) {
  nlohmann::ordered_json json{{"from", options.test.from},
                              {"to", options.test.to},
                              {"round_trip_ms", milliseconds(report.round_trip)},
                              {"fastest_ms", milliseconds(report.fastest)},
                              {"streams", report.best().streams},
                              {"rate", report.best().rate},
                              {"trials", nlohmann::json::array()}};
  for (const link::Trial& trial : report.trials) {
    json["trials"].push_back({{"streams", trial.streams},
                              {"rate", trial.rate},
                              {"loss", trial.loss},
                              {"round_trip_ms", milliseconds(trial.round_trip)},
                              {"slowest_ms", milliseconds(trial.slowest)},
                              {"echoes", trial.echoes}});
  }
  return json;
}

Result<int> run_test(const LinkTest& options) {
  ATOLL_ASSIGN(const auto address, parse_address(options.scheduler, "--scheduler"));
  ATOLL_ASSIGN(const auto identity, node::load_identity(options.identity));
  ATOLL_ASSIGN(const auto client, Client::connect(identity, address.first, address.second));
  ATOLL_ASSIGN(const node::LineResult result, test_line(*client, options.test));
  if (!result.report.ok()) return result.report.error();
  const link::LineReport& report = *result.report;
  if (options.json) {
    std::cout << to_json(options, report).dump() << std::endl;
    return 0;
  }
  print_table(options, report);
  fmt::print("as a topology says it: {}\n", line_text(result.from, result.to, report));
  return 0;
}

}  // namespace

void add_link(CLI::App& app, Action& action) {
  auto options = std::make_shared<LinkTest>();
  options->test.streams = {1, 2, 4, 8, 16};
  CLI::App* link = app.add_subcommand("link", "The lines between nodes");
  link->require_subcommand(1);
  CLI::App* test = link->add_subcommand(
      "test",
      "Measure rate, round trip, loss and the best number of streams between two nodes, over the\n"
      "sealed channel that jobs use. The scheduler keeps the figures for the plans that follow");
  test->add_option("from", options->test.from, "Node that sends")->required();
  test->add_option("to", options->test.to, "Node that receives")->required();
  test->add_option("--identity", options->identity, "Folder of a client's identity")->required();
  test->add_option("--scheduler", options->scheduler, "HOST:PORT of the scheduler")->required();
  test->add_option("--streams", options->test.streams, "Counts of data streams to try")
      ->delimiter(',')
      ->expected(1, 16)
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  test->add_option("--seconds", options->test.seconds, "Of load for each count")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  test->add_option("--congestion", options->test.congestion,
                   "TCP congestion control, such as bbr or cubic; default the system's");
  test->add_flag("--json", options->json, "Print one line of JSON");
  test->callback([options, &action] { action = [options] { return run_test(*options); }; });
}

}  // namespace reef::app
