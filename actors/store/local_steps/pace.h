#pragma once
// How often a fragment is told, as its home decides for all islands: at so many due dates as the
// job's interval has, more rarely while lines are slower than that, more often where a loss guard
// asks for it. A line that is too slow makes intervals longer by itself, too, as stores tell
// nothing while two tellings are not counted; but then updates are two intervals late for as long
// as it lasts, and each island skips what it likes.

#include <algorithm>
#include <cstdint>

namespace reef::actors {

/// Of one fragment, at its home. Deterministic: what it says follows from what it was told alone.
/// Thread: one at a time.
class Pace {
 public:
  static constexpr std::uint32_t kSlowest = 64;  ///< due dates

  /// The job's interval is of `usual` due dates; begins with `every`, as the home before had it.
  Pace(std::uint32_t usual, std::uint32_t every)
      : usual_(usual), least_(std::min(usual, every)), every_(every) {}

  static constexpr bool is_one(std::uint64_t every) {
    return every >= 1 && every <= kSlowest && (every & (every - 1)) == 0;
  }

  /// Told at each so many due dates; a power of two.
  std::uint32_t every() const { return every_; }
  /// Whether it is told at due date `number`; fragments that are told rarely take turns.
  static bool is_told(std::uint64_t number, std::uint32_t fragment, std::uint32_t every) {
    return number % every == fragment % every;
  }

  /// A telling of an island was on its lines for too long. Once between two tellings: what others
  /// say of the same slow line is no news.
  void behind() {
    if (slowed_) return;
    slowed_ = true;
    // A return that did not last was too early.
    if (returned_) patience_ = std::min(2 * patience_, kMostPatience);
    returned_ = false;
    in_time_ = 0;
    every_ = std::min(2 * every_, kSlowest);
  }

  /// A due date here, `since` of them after the last telling; `counted`: an update has it, so the
  /// others' have come. Twice in a row in a quarter of the interval, which leaves as long for the
  /// way back, and the next ones are told twice as often.
  void due(std::uint32_t since, bool counted) {
    if (every_ == least_ || since != std::max(1U, every_ / 4)) return;
    in_time_ = counted ? in_time_ + 1 : 0;
    if (in_time_ < patience_) return;
    if (returned_) patience_ = kPatience;
    returned_ = true;
    in_time_ = 0;
    every_ /= 2;
  }
  void told() { slowed_ = false; }

  /// A loss guard asks, for the `times`-th time, for half the interval. What lines cannot carry
  /// stays so.
  void hurry(std::uint32_t times) {
    const std::uint32_t least = std::max(1U, usual_ >> std::min(times, 31U));
    if (least >= least_) return;
    if (every_ == least_) every_ = least;
    least_ = least;
  }

 private:
  static constexpr std::uint32_t kPatience = 2, kMostPatience = 8;

  std::uint32_t usual_, least_;
  std::uint32_t every_;
  std::uint32_t in_time_ = 0;
  std::uint32_t patience_ = kPatience;
  bool slowed_ = false;    ///< since the last telling
  bool returned_ = false;  ///< the last change was to tell more often
};

}  // namespace reef::actors
