// atoll-flow: plain TCP flows and datagrams, to see what a line gives to those who use nothing
// else.

#include <CLI/CLI.hpp>
#include <iostream>

#include "runtime/base/units.h"
#include "tests/cluster/wan/flow/probe.h"
#include "tests/cluster/wan/flow/receiver.h"
#include "tests/cluster/wan/flow/sender.h"
#include "tests/cluster/wan/flow/wire.h"

namespace reef::flow {
namespace {

/// A CLI11 option whose value goes through one of our parsers.
template <typename T, typename Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& value, Parse parse,
                        const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [&value, parse](const std::string& text) {
        const auto parsed = parse(text);
        if (!parsed.ok()) throw CLI::ValidationError(parsed.error().where, parsed.error().what);
        value = *parsed;
      },
      help);
}

struct Options {
  ReceiveOptions receive;
  SendOptions send;
  ProbeOptions probe;
  double seconds = 10, skip = 1;
};

struct Commands {
  CLI::App *receive, *send, *probe;
};

Commands describe(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  Commands commands;
  commands.receive = app.add_subcommand("receive", "Count what flows bring, echo probes");
  add_parsed(*commands.receive, "--bind", options.receive.address, parse_address,
             "ADDRESS:PORT; port 0 takes a free one")
      ->required();
  commands.receive->add_flag("--once", options.receive.once, "End after one run");

  commands.send =
      app.add_subcommand("send", "Send on plain TCP flows and print the goodput as JSON");
  add_parsed(*commands.send, "--to", options.send.address, parse_address,
             "The receiver's ADDRESS:PORT")
      ->required();
  commands.send->add_option("--flows", options.send.flows, "How many")
      ->check(CLI::Range(std::uint32_t{1}, kMostFlows))
      ->capture_default_str();
  commands.send->add_option("--congestion", options.send.congestion,
                            "cubic, bbr, reno, ...; the kernel's default otherwise");
  commands.send->add_option("--seconds", options.seconds, "How long is counted")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  commands.send->add_option("--skip", options.skip, "Seconds at the start that do not count")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();

  commands.probe = app.add_subcommand("probe", "Measure round trip and loss with datagrams");
  add_parsed(*commands.probe, "--to", options.probe.address, parse_address,
             "The receiver's ADDRESS:PORT")
      ->required();
  commands.probe->add_option("--count", options.probe.count, "Datagrams")
      ->check(CLI::Range(1u, 100'000'000u))
      ->capture_default_str();
  add_parsed(*commands.probe, "--interval", options.probe.interval, parse_duration,
             "Between two; 10ms");
  add_parsed(*commands.probe, "--wait", options.probe.wait, parse_duration,
             "For the last answers; 2s");
  commands.probe->add_option("--size", options.probe.size, "Bytes of payload")
      ->check(CLI::Range(std::size_t{16}, std::size_t{65507}))
      ->capture_default_str();
  return commands;
}

Status run(const Commands& commands, Options& options) {
  if (*commands.receive) return receive(options.receive);
  const auto of = [](double time) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(time));
  };
  options.send.window = of(options.seconds);
  options.send.skip = of(options.skip);
  ATOLL_ASSIGN(const std::string result,
               *commands.send ? send(options.send) : probe(options.probe));
  std::cout << result << std::endl;
  return {};
}

}  // namespace
}  // namespace reef::flow

int main(int argc, char** argv) {
  CLI::App app("Plain TCP flows and probes over a line.", "atoll-flow");
  reef::flow::Options options;
  const reef::flow::Commands commands = reef::flow::describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::cerr << "E_USAGE: " << error.what() << "; try 'atoll-flow --help'\n";
    return 2;
  }
  const reef::Status status = reef::flow::run(commands, options);
  if (status.ok()) return 0;
  std::cerr << status.error().text() << '\n';
  return reef::exit_status(status.error().code);
}
