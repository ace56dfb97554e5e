#include "actors/teach/privacy.h"

#include <cmath>
#include <limits>

namespace reef::actors {

void clip_logits(std::span<float> logits, double clip) {
  if (clip == 0) return;
  for (float& logit : logits) logit = std::isfinite(logit) ? logit : 0;
  double sum = 0, squares = 0;
  for (const float logit : logits) sum += double{logit};
  const double mean = sum / static_cast<double>(logits.size());
  for (const float logit : logits) squares += (double{logit} - mean) * (double{logit} - mean);
  const double length = std::sqrt(squares);
  const double scale = length > clip ? clip / length : 1;
  for (float& logit : logits) logit = static_cast<float>((double{logit} - mean) * scale);
}

void add_noise(std::span<float> logits, double deviation, const Random& noise, std::uint64_t row) {
  if (deviation == 0) return;
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] += static_cast<float>(deviation) * noise.normal(row, i);
}

double PrivacyAccount::rho_of(std::uint64_t positions) const {
  if (positions == 0) return before_;
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
  return before_ + 2 * static_cast<double>(positions) / (noise_ * noise_);
}

double PrivacyAccount::epsilon_of(std::uint64_t positions) const {
  const double rho = rho_of(positions);
  return rho + 2 * std::sqrt(rho * std::log(1 / delta_));
}

}  // namespace reef::actors
