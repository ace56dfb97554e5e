#include "actors/store/local_steps/contributions.h"

#include <algorithm>
#include <functional>

#include "runtime/base/check.h"

namespace reef::actors {

void Contributions::begin(std::uint32_t islands, std::size_t elements) {
  islands_.resize(islands);
  elements_ = elements;
  clear();
}

void Contributions::add(std::uint32_t island, std::uint64_t tokens,
                        std::span<const float> progress) {
  CHECK(progress.size() == elements_);
  Whole& whole = islands_[island];
  if (!whole.brought) whole.progress.assign(elements_, 0.0f);
  whole.brought = true;
  whole.tokens += tokens;
  std::ranges::transform(whole.progress, progress, whole.progress.begin(), std::plus<>());
}

bool Contributions::mean(std::span<float> mean) const {
  CHECK(mean.size() == elements_);
  std::ranges::fill(mean, 0.0f);
  double tokens = 0;
  for (const Whole& whole : islands_) tokens += static_cast<double>(whole.tokens);
  for (const Whole& whole : islands_) {
    if (whole.tokens == 0) continue;
    const auto weight = static_cast<float>(static_cast<double>(whole.tokens) / tokens);
    for (std::size_t i = 0; i < elements_; ++i) mean[i] += weight * whole.progress[i];
  }
  return tokens > 0;
}

void Contributions::clear() {
  for (Whole& whole : islands_) whole.brought = false, whole.tokens = 0;
}

}  // namespace reef::actors
