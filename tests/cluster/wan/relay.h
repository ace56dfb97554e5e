#pragma once
// The whole emulator: two TUN devices, a line in each direction between them, and the commands that
// change it.
//
// Thread: one, which sleeps in ppoll until a packet comes, one is due, or a command arrives.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/cluster/wan/line.h"
#include "tests/cluster/wan/tun.h"

namespace reef::wan {

class Control;

/// From side A to side B, and back.
enum Direction : std::size_t { kAb = 0, kBa = 1 };

class Relay {
 public:
  Relay(Tun a, Tun b, const std::array<LineSettings, 2>& settings, std::uint64_t seed,
        Duration batch);

  /// Moves packets until a signal (SIGINT, SIGTERM) comes or the control's standard input ends.
  void run(Control& control);

  /// Carries out one command and says in JSON how that went:
  ///   stats                          both directions' counters and the processor time used
  ///   SETTING VALUE [ab|ba]          rate, delay, jitter, reorder, loss, overhead, queue; both
  ///   directions by default blackout TIME [ab|ba]          nothing passes for so long
  std::string answer(std::string_view command);

 private:
  struct End {
    Tun tun;
    std::uint64_t refused = 0;  ///< pieces that the kernel did not take
  };

  void read_from(Direction direction, Time now);
  void deliver(Time now);
  Result<std::string> carry_out(std::string_view command);
  std::string stats() const;

  Budget budget_{kMemoryLimit};
  std::array<End, 2> ends_;
  std::array<Line, 2> lines_;
  const Time started_;
};

}  // namespace reef::wan
