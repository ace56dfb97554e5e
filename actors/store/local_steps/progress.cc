#include "actors/store/local_steps/progress.h"

#include <algorithm>
#include <functional>

#include "runtime/base/check.h"

namespace reef::actors {

std::span<const float> Progress::tell(std::span<const float> weights, const Lossy& lossy) {
  CHECK(weights.size() == told_.size());
  std::vector<float>& moved = pending_.emplace_back(told_);
  std::ranges::transform(moved, weights, moved.begin(), std::minus<>());
  if (lossy) {
    lossy(moved);
    std::ranges::transform(told_, moved, told_.begin(), std::minus<>());
  } else {
    told_.assign(weights.begin(), weights.end());
  }
  return moved;
}

void Progress::take(std::span<const float> update, std::size_t included,
                    std::span<float> correction) {
  CHECK(update.size() == told_.size() && correction.size() == told_.size());
  CHECK(included <= pending_.size());
  std::ranges::copy(update, correction.begin());
  count(included, correction);
}

std::vector<float> Progress::global() const {
  std::vector<float> global = told_;
  for (const std::vector<float>& moved : pending_)
    std::ranges::transform(global, moved, global.begin(), std::plus<>());
  return global;
}

/// Progress that is in the update, or nowhere, is no longer the weights' own.
void Progress::count(std::size_t included, std::span<float> correction) {
  for (; included > 0; --included) {
    std::ranges::transform(correction, pending_.front(), correction.begin(), std::plus<>());
    pending_.pop_front();
  }
  std::ranges::transform(told_, correction, told_.begin(), std::plus<>());
}

}  // namespace reef::actors
