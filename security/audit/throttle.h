#pragma once
// How much of what strangers cause is written down.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace reef::security {

/// Lets a burst of each kind of event through and then a trickle, so that strangers fill neither
/// the disk nor the share of another kind.
/// Thread: one. Memory: an entry a kind; kinds are ours, never a peer's.
class Throttle {
 public:
  static constexpr std::uint64_t kBurst = 20;
  static constexpr std::uint64_t kSecondsEach = 10;

  /// Nothing: the event is left out, and counted. Otherwise how many of its kind were left out
  /// since one was let through.
  std::optional<std::uint64_t> admit(const std::string& kind, std::uint64_t unix_now);
  /// By kind, what was left out and not told yet; then it has been.
  std::map<std::string, std::uint64_t> take_left_out();

 private:
  struct Kind {
    std::uint64_t allowance = kBurst;
    std::uint64_t refilled = 0;
    std::uint64_t left_out = 0;
  };
  std::map<std::string, Kind> kinds_;
};

}  // namespace reef::security
