#pragma once
// An island that is ahead of the others holds back a little, until they tell at the same time. What
// it tells waits for theirs otherwise, up to two intervals, and the older progress is, the less an
// outer step along it is worth. A job ends when its slowest island does, so one that is the faster
// all along loses nothing by it; where the faster is now this one and now that, the job takes as
// long as whoever is slower takes at the time.

#include <algorithm>
#include <array>
#include <cstdint>

#include "runtime/base/clock.h"

namespace reef::actors {

/// Of one island. Deterministic. Thread: one at a time; time is the caller's.
class Lead {
 public:
  /// With an update of one of `homes` fragments whose homes are elsewhere: how long what this
  /// island has told waited for others who have done no more of the job. What was told before this
  /// island held back says so again, so each update asks for a part only: all in an interval for
  /// half.
  void waited(Duration lead, std::size_t homes) {
    owed_ = std::min(owed_ + lead / static_cast<std::int64_t>(2 * homes), lead);
  }

  /// A step was made; for how long its corrections, which the next one needs at its end, are to be
  /// kept back: as long as that takes by itself, and up to once more, after every third step. So an
  /// island that is ahead by more than a quarter, or is told so, is held back no further, and one
  /// that is ahead by less than half a step's time not at all.
  Duration stepped(Time now) {
    // The first after one that was kept back began later, the second with nothing prepared.
    const bool undisturbed = ++since_ > 2;
    if (undisturbed) takes_ = {now - last_, takes_[0]};
    last_ = now;
    const Duration step = std::min(takes_[0], takes_[1]);  // either may have been held up
    if (!undisturbed || step == Duration{} || owed_ < step / 2) return {};
    since_ = 0;
    const Duration more = std::min(owed_, step);
    owed_ -= more;
    return step + more;
  }
  /// Something else comes between this step and the next.
  void interrupted() { since_ = 0; }
  /// Who said so is gone.
  void forget() { owed_ = {}; }

 private:
  Duration owed_{};
  Time last_{};                      ///< step
  std::array<Duration, 2> takes_{};  ///< of the last two that say so
  int since_ = 0;                    ///< steps, since one was kept back
};

}  // namespace reef::actors
