#include "actors/store/local_steps/outer_optimizer.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace reef::actors {

void OuterOptimizer::step(std::span<const Contribution> contributions, std::span<float> update) {
  CHECK(!contributions.empty() && update.size() == velocity_.size());
  double tokens = 0;
  for (const Contribution& one : contributions) tokens += static_cast<double>(one.tokens);
  std::ranges::fill(update, 0.0f);
  for (const Contribution& one : contributions) {
    CHECK(one.tokens > 0 && one.progress.size() == update.size());
    const auto weight = static_cast<float>(static_cast<double>(one.tokens) / tokens);
    for (std::size_t i = 0; i < update.size(); ++i) update[i] += weight * one.progress[i];
  }
  const auto rate = static_cast<float>(settings_.learning_rate);
  const auto momentum = static_cast<float>(settings_.momentum);
  for (std::size_t i = 0; i < update.size(); ++i) {
    velocity_[i] = momentum * velocity_[i] + update[i];
    update[i] = -rate * (update[i] + momentum * velocity_[i]);
  }
}

void OuterOptimizer::restore(std::span<const float> velocity) {
  CHECK(velocity.size() == velocity_.size());
  std::ranges::copy(velocity, velocity_.begin());
}

// step() makes u = -r (g + m v') of v' = m v + g, so v' = (m v - u / r) / (1 + m).
void VelocityReplica::take(std::span<const float> update) {
  CHECK(update.size() == velocity_.size());
  // The last updates may have nobody's progress in them; there was no step, then.
  if (std::ranges::all_of(update, [](float one) { return one == 0; })) return;
  const auto rate = static_cast<float>(settings_.learning_rate);
  const auto momentum = static_cast<float>(settings_.momentum);
  for (std::size_t i = 0; i < update.size(); ++i)
    velocity_[i] = (momentum * velocity_[i] - update[i] / rate) / (1 + momentum);
}

}  // namespace reef::actors
