#pragma once
// Time comes through an interface, so that a whole cluster can run on a simulated clock.

#include <chrono>

namespace reef {

using Duration = std::chrono::nanoseconds;
/// Monotonic nanoseconds since an arbitrary start.
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// The moment after which an operation completes with kTimedOut.
using Deadline = Time;

inline constexpr Deadline kNoDeadline = Deadline::max();

/// Thread: any.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

/// The machine's monotonic clock.
const Clock& system_clock();

/// A clock that stands still until it is moved; for tests and simulation.
class ManualClock final : public Clock {
 public:
  Time now() const override { return now_; }
  void advance(Duration by) { now_ += by; }
  void set(Time to) { now_ = to; }

 private:
  Time now_{};
};

inline double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace reef
