#pragma once
// One fragment as an island holds it: what it has told the home, what of that has been counted, and
// what updates change in the weights. Knows no channel: the store passes letters on.

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "actors/store/local_steps/coder.h"
#include "actors/store/local_steps/progress.h"
#include "actors/store/local_steps/told.h"
#include "runtime/base/error.h"

namespace reef::actors {

/// Thread: one at a time. Memory: the fragment three times in f32, once more, and once encoded, for
/// each telling that is not counted yet, of which there are at most kMostPending, and the last one.
class LocalFragment {
 public:
  static constexpr std::size_t kMostPending = 2;

  /// Begins at the global weights.
  LocalFragment(std::uint32_t island, std::span<const float> global)
      : island_(island), progress_(global), correction_(global.size()), change_(global.size()) {}

  /// Training went on: the tokens behind the next telling.
  void trained(std::uint64_t tokens) { tokens_ += tokens; }
  /// Whether the home is there and has counted enough of what it was told.
  bool may_tell() const { return met_ && pending_.size() < kMostPending && tokens_ > 0; }
  /// The home is there, and has not counted enough of it.
  bool is_behind() const { return met_ && pending_.size() >= kMostPending; }
  /// All that was told has been counted.
  bool is_counted() const { return pending_.empty(); }
  /// Encodes what is told of its progress, and keeps it until it is counted.
  const Told& tell(std::span<const float> weights, bool last, Coder& coder);
  /// Not counted yet, in order.
  const std::deque<Told>& pending() const { return pending_; }
  /// The last telling of all was counted.
  bool is_through() const { return ended_ && pending_.empty(); }

  /// The home has all up to telling `number`. Those that are to be sent again. Failure: kProto for
  /// one that was never told.
  Result<std::vector<const Told*>> met(std::uint64_t number);
  /// The channel to the home is lost.
  void parted() { met_ = false; }

  enum class Taken : std::uint8_t { kDone, kOld, kGap };
  /// Version `version` of the global weights, which includes our tellings up to `included`. A gap:
  /// updates before it are missing, nothing is taken. Failure: kProto for what was never told.
  Result<Taken> take(std::uint64_t version, std::uint64_t included, std::span<const float> update);
  /// The global weights are these, of any version but ours: a new home may know less.
  Result<Taken> take_snapshot(std::uint64_t version, std::uint64_t included,
                              std::span<const float> global);

  /// Whether an update may say that it includes our tellings up to this one.
  bool may_count(std::uint64_t included) const { return included <= told_; }

  std::uint64_t version() const { return version_; }
  std::uint64_t counted() const { return counted_; }
  std::uint64_t told() const { return told_; }
  /// As far as this island knows them.
  std::vector<float> global() const { return progress_.global(); }

  bool is_met() const { return met_; }

  /// Whether there is something to be added to the weights.
  bool corrects() const { return corrects_; }
  /// That; and then there is nothing.
  std::span<const float> correction();
  /// The same, which stays to be added. Precondition: corrects().
  std::span<const float> uncorrected() const { return correction_; }

 private:
  Result<Taken> count(std::uint64_t version, std::uint64_t included, std::span<const float> update);

  const std::uint32_t island_;
  Progress progress_;
  std::deque<Told> pending_;
  std::vector<float> correction_, change_;
  std::uint64_t tokens_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t told_ = 0, counted_ = 0;  ///< numbers of tellings
  bool met_ = false;
  bool ended_ = false;  ///< the last was told
  bool corrects_ = false;
  bool handed_out_ = false;  ///< the correction; to be cleared before the next
};

}  // namespace reef::actors
