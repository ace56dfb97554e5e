#pragma once
// One fragment at its home: gathers the progress of all islands, makes updates of the global
// weights, and keeps those that an island which comes back may have missed. Knows no channel: the
// store passes letters on.

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "actors/store/local_steps/coder.h"
#include "actors/store/local_steps/contributions.h"
#include "actors/store/local_steps/gathering.h"
#include "actors/store/local_steps/outer_optimizer.h"
#include "actors/store/local_steps/told.h"
#include "runtime/base/error.h"

namespace reef::actors {

constexpr std::uint64_t generation_of(std::uint64_t version) { return version >> 32; }

/// Thread: one at a time; time is the caller's. Memory: the fragment in f32 three times, once for
/// each island that has brought something, once for the log, and once for what a mean leaves out;
/// what waits to be passed on, encoded.
class HomeFragment {
 public:
  /// Begins at the global weights, and expects `islands`, 0, 1, ... `passes_on`: updates carry what
  /// islands have told, not the mean of it.
  HomeFragment(GatheringRules rules, OuterSettings outer, Coder coder, bool passes_on,
               std::uint32_t islands, std::span<const float> global);

  /// Trains, and is waited for, or not. One whose last was counted has nothing more to bring.
  void joined(std::uint32_t island);
  void left(std::uint32_t island) { gathering_.leave(island); }

  /// Of one of the islands, which has done so much of the job; only its last may be of no tokens.
  /// What came before is passed over, as is what leaves a gap, which is sent again, and what comes
  /// when kMostTellings wait.
  /// Failure: kDecompress; kPoison for progress that would make everybody's weights no numbers.
  Status bring(const ToldView& told, std::uint64_t done, Time now);

  /// `may_end`: whoever is not there will not come. Then it is also due when nobody is left who
  /// could bring more: whatever the quorum, and with nothing in it, since the last update is to say
  /// so.
  std::optional<Time> due(bool may_end) const;

  struct Update {
    std::uint64_t version = 0;
    bool last = false;                      ///< nobody who trains will bring more
    std::vector<std::uint64_t> included{};  ///< of each island, its last telling in it
    std::vector<Told> told{};               ///< of nobody: no step
    std::vector<std::uint32_t> overfull{};  ///< islands that are to send something again
    /// Of each island, how long what it told waited for others who have done no more.
    std::vector<Duration> leads{};
  };
  /// Out of what was brought. `change`: what all add to the global weights, also here.
  const Update& update(bool may_end, std::vector<float>& change);

  std::uint64_t version() const { return version_; }
  /// The last update was one that nobody will bring more after.
  bool ended() const { return ended_; }
  std::span<const float> global() const { return global_; }
  std::span<const float> velocity() const { return optimizer_.velocity(); }
  /// The last telling of an island that came; and that was counted.
  std::uint64_t received(std::uint32_t island) const { return islands_[island].received; }
  std::uint64_t counted(std::uint32_t island) const { return islands_[island].counted; }
  /// Whether the island can make the update's step: it knows what it has told itself, but not what
  /// one before it has. Else, and where that would be more bytes, it gets a snapshot.
  bool serves(const Update& update, std::uint32_t island) const;
  /// The updates behind this version, in order; false where the log no longer has them, or one does
  /// not serve.
  bool missed(std::uint32_t island, std::uint64_t version,
              std::vector<const Update*>& updates) const;

  /// This is a fragment's new home, and its own island, or another that knows more, has these of
  /// the home before.
  void adopt(std::uint64_t version, std::span<const float> global, std::span<const float> velocity);
  /// The home before has made the last update.
  void end() { ended_ = true; }
  /// An island has told its last, and it was counted.
  void through(std::uint32_t island);
  /// An island trains again that may have told its last.
  void began_anew(std::uint32_t island);
  /// Versions from now on are others than those that a predecessor may have made, which others may
  /// have; the high half of a version is its generation (generation_of()).
  void begin_generation(std::uint32_t generation);
  /// What an island says of its own numbers, which a new home does not know.
  void remember(std::uint32_t island, std::uint64_t counted);

 private:
  struct Brought {
    std::uint64_t received = 0, counted = 0;
    std::uint64_t before = 0;  ///< the last telling that one before it may have told
    std::size_t waiting = 0;   ///< tellings, for the next update
    Time since{};              ///< that the first of them came
    std::uint64_t done = 0;    ///< of the job, with the last of them
    bool overfull = false;     ///< and one more came
    bool last = false;
  };

  Duration lead(const Brought& one) const;
  void forget();

  Gathering gathering_;
  OuterOptimizer optimizer_;
  Coder coder_;
  const bool passes_on_;
  std::vector<Brought> islands_;
  Contributions brought_;
  std::vector<Told> told_;  ///< to be passed on
  bool ends_ = false;       ///< somebody's last telling waits
  std::vector<float> global_;
  std::vector<float> decoded_;
  std::deque<Update> log_;
  std::size_t log_bytes_ = 0;
  std::uint64_t version_ = 0;
  bool ended_ = false;
};

}  // namespace reef::actors
