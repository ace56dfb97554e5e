#pragma once
// So many in a second and no more, whatever came before: a bucket that fills at the rate, and holds
// what comes in a second.

#include <algorithm>

#include "runtime/base/clock.h"

namespace reef::actors {

/// Thread: one.
class RateLimit {
 public:
  /// 0: as many as come.
  RateLimit(double per_second, Time now)
      : per_second_(per_second), most_(std::max(1.0, per_second)), there_(most_), at_(now) {}

  /// Takes one, if there is one.
  bool take(Time now) {
    if (per_second_ == 0) return true;
    fill(now);
    if (there_ < 1) return false;
    there_ -= 1;
    return true;
  }
  /// Until there is one again.
  Duration wait(Time now) {
    if (per_second_ == 0) return {};
    fill(now);
    const double missing = std::max(0.0, 1 - there_) / per_second_;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(missing)) +
           (missing > 0 ? std::chrono::microseconds(1) : Duration{});
  }

 private:
  void fill(Time now) {
    there_ = std::min(most_, there_ + seconds(now - at_) * per_second_);
    at_ = now;
  }

  double per_second_, most_, there_;
  Time at_;
};

}  // namespace reef::actors
