#pragma once
// One fragment of the weights as one datacenter trains it between outer updates (Douillard et al.
// 2023, DiLoCo, arXiv 2311.08105): what it tells the others of its progress, and what an update
// means for weights that have moved on since.
//
//   weights = global + progress that no update has included yet
//
// holds after every call, whatever is told, lost, or included late. With one update for each
// telling and nothing in between this is DiLoCo; what training does while an update is under way
// stays, which is delayed application (Douillard et al. 2025, Streaming DiLoCo, arXiv 2501.18512).
// What a codec leaves out of a telling stays, too: nobody has to do it again, and it is told later.

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

namespace reef::actors {

/// Thread: one at a time. Memory: the fragment once in f32, and once for each telling that no
/// update has included.
class Progress {
 public:
  /// Begins at the global weights.
  explicit Progress(std::span<const float> global) : told_(global.begin(), global.end()) {}

  /// What the others will see of it.
  using Lossy = std::function<void(std::span<float> progress)>;

  /// The pseudo-gradient: what training did and has not told, negated as a gradient is; `lossy`, if
  /// given, makes of it what is told. That is pending until an update includes it; the rest stays
  /// in the weights, and is told the next time. Valid until the next call of this class.
  /// Precondition: as many weights as at first, in each call.
  std::span<const float> tell(std::span<const float> weights, const Lossy& lossy = {});

  /// `update` of the global weights came, in which the `included` oldest pending ones have been
  /// counted. Writes into `correction` what is to be added to the weights. Precondition: `included`
  /// is at most pending().
  void take(std::span<const float> update, std::size_t included, std::span<float> correction);

  std::size_t pending() const { return pending_.size(); }
  /// The global weights, as updates have made them.
  std::vector<float> global() const;

 private:
  void count(std::size_t included, std::span<float> correction);

  std::vector<float> told_;  ///< the weights as far as they are told, corrected since
  std::deque<std::vector<float>> pending_;
};

}  // namespace reef::actors
