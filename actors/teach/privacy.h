#pragma once
// What a teacher lets out of its model, and what that costs whoever is in the data that the model
// was trained on.
//
// The mechanism is Gaussian, on the whole vector of a position's logits: around their mean,
// shortened to the length `clip`, and with noise of standard deviation noise * clip on each. What
// is said of it (the most likely tokens, their probabilities at a temperature) is made of the noisy
// vector alone and costs nothing more. Two vectors of length clip are at most 2 clip apart,
// whatever they came from: so a position costs rho = (2 clip)^2 / (2 (noise clip)^2) = 2 / noise^2
// of zero-concentrated differential privacy (Bun and Steinke 2016, arXiv 1605.02635), which adds up
// over positions, asked in whatever order and for whatever reason; and rho is (rho + 2 sqrt(rho
// ln(1 / delta)), delta)- differential privacy for every delta. It holds between any two models,
// and so between any two training sets: nothing is assumed of how the model was trained, and
// nothing is gained from it.

#include <cstdint>
#include <span>

#include "runtime/base/random.h"

namespace reef::actors {

/// Moves a position's logits around 0 and shortens them to `clip`, what is no number counted as 0,
/// so that it tells no more than others; 0: leaves them as they are.
void clip_logits(std::span<float> logits, double clip);

/// Adds noise that nobody can guess who does not know the key of `noise`: position `row` of it must
/// never be used twice.
void add_noise(std::span<float> logits, double deviation, const Random& noise, std::uint64_t row);

/// What was spent so far, of positions that were let out once. Thread: one.
class PrivacyAccount {
 public:
  /// `noise` as a multiple of clip; 0: nothing is promised, and epsilon has no bound. `before`: rho
  /// that was spent already, under whatever noise.
  PrivacyAccount(double noise, double delta, double before = 0)
      : noise_(noise), delta_(delta), before_(before) {}

  void spend(std::uint64_t positions) { positions_ += positions; }
  /// That this account has seen.
  std::uint64_t positions() const { return positions_; }
  double spent() const { return rho_of(positions_) - before_; }
  /// Of all.
  double rho() const { return rho_of(positions_); }
  double epsilon() const { return epsilon_of(positions_); }
  /// Whether so many more would stay within it.
  bool allows(std::uint64_t positions, double epsilon) const {
    return epsilon_of(positions_ + positions) <= epsilon;
  }

 private:
  double rho_of(std::uint64_t positions) const;
  double epsilon_of(std::uint64_t positions) const;

  double noise_, delta_, before_;
  std::uint64_t positions_ = 0;
};

}  // namespace reef::actors
