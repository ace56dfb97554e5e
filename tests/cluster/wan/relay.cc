#include "tests/cluster/wan/relay.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cluster/wan/control.h"

namespace reef::wan {
namespace {

constexpr std::array<const char*, 2> kNames{"ab", "ba"};
constexpr int kReadsPerWakeUp = 64;  // then what is due gets its turn

volatile sig_atomic_t ended = 0;
void on_end(int) { ended = 1; }

/// Signals come only while ppoll sleeps, so that none slips in between the look at `ended` and the
/// sleep.
sigset_t let_signals_in_only_while_polling() {
  struct sigaction action {};
  action.sa_handler = on_end;
  sigset_t blocked, before;
  sigemptyset(&blocked);
  for (const int signal : {SIGINT, SIGTERM}) {
    sigaction(signal, &action, nullptr);
    sigaddset(&blocked, signal);
  }
  sigprocmask(SIG_BLOCK, &blocked, &before);
  sigdelset(&before, SIGINT);
  sigdelset(&before, SIGTERM);
  return before;
}

void poll_until(std::vector<pollfd>& polled, Time until, Time now, const sigset_t& mask) {
  timespec wait{};
  if (until > now) {
    const auto left = (until - now).count();
    wait = {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  }
  // An interrupted call leaves revents as they were.
  if (::ppoll(polled.data(), polled.size(), until == kNoDeadline ? nullptr : &wait, &mask) < 0) {
    for (pollfd& entry : polled) entry.revents = 0;
  }
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + time.tv_usec * 1e-6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

nlohmann::ordered_json to_json(const Line& line, std::uint64_t refused) {
  const Counters& c = line.counters();
  const LineSettings& s = line.settings();
  return {{"rate_bits", s.rate},
          {"delay_ms", seconds(s.delay) * 1e3},
          {"jitter_ms", seconds(s.jitter) * 1e3},
          {"reorder", s.reorder},
          {"loss", s.loss},
          {"overhead_bytes", s.overhead},
          {"queue_limit_bytes", line.queue_limit()},
          {"queue_bytes", line.queue_bytes()},
          {"queue_most_bytes", c.queue_most_bytes},
          {"accepted", c.accepted},
          {"accepted_bytes", c.accepted_bytes},
          {"delivered", c.delivered},
          {"delivered_bytes", c.delivered_bytes},
          {"lost", c.lost},
          {"queue_dropped", c.queue_dropped},
          {"blackout_dropped", c.blackout_dropped},
          {"memory_dropped", c.memory_dropped},
          {"malformed", c.malformed},
          {"refused", refused}};
}

/// Which directions a command's last word names.
Result<std::pair<std::size_t, std::size_t>> directions(const std::string& word) {
  if (word.empty()) return std::pair<std::size_t, std::size_t>{kAb, kBa};
  for (const std::size_t d : {kAb, kBa}) {
    if (word == kNames[d]) return std::pair{d, d};
  }
  return Error{Code::kUsage, word, "is neither ab (from A to B) nor ba"};
}

}  // namespace

Relay::Relay(Tun a, Tun b, const std::array<LineSettings, 2>& settings, std::uint64_t seed,
             Duration batch)
    : ends_{End{std::move(a)}, End{std::move(b)}},
      lines_{Line(budget_, settings[kAb], seed, kNames[kAb], batch),
             Line(budget_, settings[kBa], seed, kNames[kBa], batch)},
      started_(system_clock().now()) {}

void Relay::run(Control& control) {
  const sigset_t mask = let_signals_in_only_while_polling();
  std::vector<pollfd> polled;
  while (ended == 0) {
    polled.clear();
    for (const End& end : ends_) polled.push_back({end.tun.fd(), POLLIN, 0});
    control.add_to(polled);
    Time now = system_clock().now();
    poll_until(polled, std::min(lines_[kAb].next(now), lines_[kBa].next(now)), now, mask);
    now = system_clock().now();
    for (const Direction direction : {kAb, kBa}) {
      if ((polled[direction].revents & POLLIN) != 0) read_from(direction, now);
    }
    deliver(now);
    if (!control.serve(polled)) return;
  }
}

void Relay::read_from(Direction direction, Time now) {
  for (int i = 0; i < kReadsPerWakeUp; ++i) {
    const auto received = ends_[direction].tun.read();
    if (!received) return;
    lines_[direction].accept(received->offload, received->bytes, now);
  }
}

void Relay::deliver(Time now) {
  for (const Direction direction : {kAb, kBa}) {
    End& to = ends_[1 - direction];
    lines_[direction].deliver(now, [&to](const Piece& piece) {
      if (!to.tun.write(piece)) ++to.refused;
    });
  }
}

std::string Relay::answer(std::string_view command) {
  const auto done = carry_out(command);
  if (done.ok()) return *done;
  return nlohmann::ordered_json{{"ok", false}, {"error", done.error().text()}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::string> Relay::carry_out(std::string_view command) {
  std::istringstream words{std::string(command)};
  std::string name, value, direction, more;
  words >> name >> value >> direction >> more;
  if (name == "stats" && value.empty()) return stats();
  if (name.empty() || value.empty() || !more.empty()) {
    return Error{Code::kUsage, "command",
                 "is not 'stats', 'blackout TIME [ab|ba]' or 'SETTING VALUE [ab|ba]'"};
  }
  ATOLL_ASSIGN(const auto range, directions(direction));
  const Time now = system_clock().now();
  if (name == "blackout") {
    ATOLL_ASSIGN(const Duration span, parse_span(value));
    for (std::size_t d = range.first; d <= range.second; ++d) lines_[d].blackout(now + span, now);
    return std::string(R"({"ok":true})");
  }
  std::array<LineSettings, 2> changed{lines_[kAb].settings(), lines_[kBa].settings()};
  for (std::size_t d = range.first; d <= range.second; ++d) {
    ATOLL_TRY(apply(changed[d], name, value));
    ATOLL_TRY(check(changed[d]));
  }
  for (std::size_t d = range.first; d <= range.second; ++d) lines_[d].set(changed[d], now);
  return std::string(R"({"ok":true})");
}

std::string Relay::stats() const {
  nlohmann::ordered_json json{{"ok", true},
                              {"seconds", seconds(system_clock().now() - started_)},
                              {"cpu_seconds", processor_seconds()},
                              {"memory_bytes", budget_.used()}};
  for (const std::size_t d : {kAb, kBa}) json[kNames[d]] = to_json(lines_[d], ends_[1 - d].refused);
  return json.dump();
}

}  // namespace reef::wan
