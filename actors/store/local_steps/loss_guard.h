#pragma once
// Whether training suffers from how rarely datacenters tell each other: an island looks at the
// held-out losses of its own evaluations, and when they rise asks for fragments to be told twice as
// often. It cannot know why they rise; telling more often costs bytes and no quality.

#include <algorithm>
#include <cstdint>
#include <limits>

namespace reef::actors {

/// Of one island. Deterministic. Thread: one at a time.
class LossGuard {
 public:
  /// By what share a loss may be above the best so far; 0: by any.
  explicit LossGuard(double share) : share_(share) {}

  /// An evaluation's loss. True if it is the second in a row that is too high: then the next such
  /// two count from here, since what is done now takes its time.
  bool evaluated(double loss) {
    if (share_ == 0) return false;
    // No number is worse than any.
    if (!(loss <= best_ * (1 + share_))) {
      if (++high_ < kInARow) return false;
      high_ = 0;
      return true;
    }
    high_ = 0;
    best_ = std::min(best_, loss);
    return false;
  }

 private:
  static constexpr int kInARow = 2;
  double share_;
  double best_ = std::numeric_limits<double>::infinity();
  int high_ = 0;
};

}  // namespace reef::actors
