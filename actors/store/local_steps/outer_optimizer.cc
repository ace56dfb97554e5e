#include "actors/store/local_steps/outer_optimizer.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "actors/store/local_steps/coder.h"
#include "runtime/base/check.h"

namespace reef::actors {

void OuterOptimizer::step(std::span<float> progress, bool ends) {
  CHECK(progress.size() == velocity_.size());
  if (ends) {
    std::ranges::transform(progress, progress.begin(), std::negate<>());
    return;
  }
  const auto rate = static_cast<float>(settings_.learning_rate);
  const auto momentum = static_cast<float>(settings_.momentum);
  for (std::size_t i = 0; i < progress.size(); ++i) {
    velocity_[i] = momentum * velocity_[i] + progress[i];
    progress[i] = -rate * (progress[i] + momentum * velocity_[i]);
  }
}

void OuterOptimizer::restore(std::span<const float> velocity) {
  CHECK(velocity.size() == velocity_.size());
  const bool may_be =
      std::ranges::all_of(velocity, [](float one) { return std::abs(one) <= kMostProgress; });
  if (may_be) {
    std::ranges::copy(velocity, velocity_.begin());
  } else {
    std::ranges::fill(velocity_, 0.0f);
  }
}

}  // namespace reef::actors
