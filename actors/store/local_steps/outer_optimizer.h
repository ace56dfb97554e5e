#pragma once
// What the store does with the progress of the datacenters: their mean, by the tokens that each has
// seen, is a gradient of the global weights, and Nesterov's momentum steps along it (DiLoCo, arXiv
// 2311.08105; 0.7 and 0.9 serve most models).

#include <cstdint>
#include <span>
#include <vector>

namespace reef::actors {

struct OuterSettings {
  double learning_rate = 0.7;
  double momentum = 0.9;
};

/// Of one fragment. Every island has one and makes the same steps along the same means, so whoever
/// is to be the home has all that it takes.
/// Thread: one at a time. Memory: the fragment once in f32, its momentum.
class OuterOptimizer {
 public:
  OuterOptimizer(OuterSettings settings, std::size_t elements)
      : settings_(settings), velocity_(elements, 0) {}

  /// Makes of the mean progress what is to be added to the global weights. `ends`: somebody has
  /// told its last, so that goes in as it is, since momentum looks ahead, and no later step makes
  /// up for it. Precondition: it is as long as the fragment.
  void step(std::span<float> progress, bool ends);

  std::span<const float> velocity() const { return velocity_; }
  /// One that no training has counts as none.
  void restore(std::span<const float> velocity);

 private:
  OuterSettings settings_;
  std::vector<float> velocity_;
};

}  // namespace reef::actors
