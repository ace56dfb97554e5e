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

/// A pseudo-gradient and the tokens that it stands for, more than 0.
struct Contribution {
  std::span<const float> progress;
  std::uint64_t tokens = 0;
};

/// Of one fragment.
/// Thread: one at a time. Memory: the fragment once in f32, its momentum.
/// Order: contributions are added in the order given, so the same ones give the same bits.
class OuterOptimizer {
 public:
  OuterOptimizer(OuterSettings settings, std::size_t elements)
      : settings_(settings), velocity_(elements, 0) {}

  /// Writes into `update` what is to be added to the global weights. Precondition: there is a
  /// contribution, and all are as long as the fragment.
  void step(std::span<const Contribution> contributions, std::span<float> update);

  std::span<const float> velocity() const { return velocity_; }
  void restore(std::span<const float> velocity);

 private:
  OuterSettings settings_;
  std::vector<float> velocity_;
};

/// The velocity of an optimizer elsewhere, out of the updates that it makes: each is a sum of the
/// velocity before it and behind it. So whoever takes the updates can go on making them, and nobody
/// sends velocities. What this one is off, since it has missed updates or a codec has rounded
/// them, each update leaves less than half of.
/// Thread: one at a time. Memory: the fragment once in f32.
class VelocityReplica {
 public:
  /// Precondition: the learning rate is more than 0.
  VelocityReplica(OuterSettings settings, std::size_t elements)
      : settings_(settings), velocity_(elements, 0) {}

  /// Precondition: as many elements.
  void take(std::span<const float> update);
  std::span<const float> values() const { return velocity_; }

 private:
  OuterSettings settings_;
  std::vector<float> velocity_;
};

}  // namespace reef::actors
