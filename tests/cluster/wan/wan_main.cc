// atoll-wan: a long line between two network namespaces of this machine. docs/wan.md tells how to
// use it.

#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>

#include "tests/cluster/wan/control.h"
#include "tests/cluster/wan/relay.h"

namespace reef::wan {
namespace {

struct Options {
  std::array<std::string, 2> netns;
  std::string device = "wan0";
  std::string control;
  bool stay = false;
  std::uint64_t seed = 1;
  std::optional<Duration> batch;
  std::array<LineSettings, 2> settings;
};

/// --rate, --rate-ab, --rate-ba and so on; errors are thrown as CLI11's own.
void add_setting(CLI::App& app, Options& options, const std::string& name,
                 const std::string& help) {
  const auto add = [&app, &options, name](const std::string& flag,
                                          std::vector<Direction> directions,
                                          const std::string& text) {
    app.add_option_function<std::string>(
        flag,
        [&options, name, directions](const std::string& value) {
          for (const Direction direction : directions) {
            const Status status = apply(options.settings[direction], name, value);
            if (!status.ok()) throw CLI::ValidationError(status.error().where, status.error().what);
          }
        },
        text);
  };
  add("--" + name, {kAb, kBa}, help);
  add("--" + name + "-ab", {kAb}, "Only from A to B");
  add("--" + name + "-ba", {kBa}, "Only from B to A");
}

void describe(CLI::App& app, Options& options) {
  app.add_option("--a", options.netns[0], "Network namespace of side A (ip netns)")->required();
  app.add_option("--b", options.netns[1], "Network namespace of side B")->required();
  app.add_option("--device", options.device, "The TUN device's name in both")
      ->capture_default_str();
  add_setting(app, options, "rate", "Rate of the line, as 50mbit; needed");
  add_setting(app, options, "delay", "One-way delay, as 50ms");
  add_setting(app, options, "jitter", "The delay wanders this much around");
  add_setting(app, options, "reorder", "on: packets draw jitter each for itself and overtake");
  add_setting(app, options, "loss", "Share of packets lost by chance, as 0.1%");
  add_setting(app, options, "overhead", "Framing of the line around a packet, as 38B (Ethernet)");
  add_setting(app, options, "queue",
              "Queue before the line (default: one bandwidth-delay product)");
  app.add_option("--seed", options.seed, "Of the losses and the jitter")->capture_default_str();
  app.add_option_function<std::string>(
      "--batch",
      [&options](const std::string& value) {
        const auto batch = parse_span(value);
        if (!batch.ok()) throw CLI::ValidationError(batch.error().where, batch.error().what);
        options.batch = *batch;
      },
      "How late a packet may be that others follow closely (default: a tenth of the delay, at most "
      "1ms)");
  app.add_option("--control", options.control, "Unix socket to take commands on");
  app.add_flag("--stay", options.stay, "Do not read standard input, nor end with it");
  app.footer("Commands on standard input: stats | blackout 2s [ab|ba] | rate 10mbit [ab|ba] | ...");
}

/// The longer, the fewer wake-ups and the larger the pieces; a tenth is little beside the delay
/// itself.
Duration default_batch(const std::array<LineSettings, 2>& settings) {
  const Duration delay = std::min(settings[kAb].delay, settings[kBa].delay);
  return std::clamp<Duration>(delay / 10, std::chrono::microseconds(100),
                              std::chrono::milliseconds(1));
}

Status relay(const Options& options) {
  for (const LineSettings& settings : options.settings) ATOLL_TRY(check(settings));
  ATOLL_ASSIGN(Tun a, Tun::open(options.netns[0], options.device));
  ATOLL_ASSIGN(Tun b, Tun::open(options.netns[1], options.device));
  // Wake-ups come when asked for, not up to 50 us later.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  Relay relay(std::move(a), std::move(b), options.settings, options.seed,
              options.batch.value_or(default_batch(options.settings)));
  ATOLL_ASSIGN(const auto control,
               Control::open(!options.stay, options.control,
                             [&relay](std::string_view command) { return relay.answer(command); }));
  std::cout << relay.answer("stats") << std::endl;  // says that the devices are there
  relay.run(*control);
  return {};
}

}  // namespace
}  // namespace reef::wan

int main(int argc, char** argv) {
  CLI::App app("A long line between two network namespaces.", "atoll-wan");
  reef::wan::Options options;
  reef::wan::describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::cerr << "E_USAGE: " << error.what() << "; try 'atoll-wan --help'\n";
    return 2;
  }
  const reef::Status status = reef::wan::relay(options);
  if (status.ok()) return 0;
  std::cerr << status.error().text() << '\n';
  return reef::exit_status(status.error().code);
}
