#include "actors/metrics/translation/chrf.h"

namespace reef::translation {

void Chrf::add(std::string_view hypothesis, std::string_view reference) {
  const Units ours = characters_without_spaces(characters_of(hypothesis));
  const Units theirs = characters_without_spaces(characters_of(reference));
  for (std::size_t n = 1; n <= kOrder; ++n) {
    const Overlap found = overlap(ours, theirs, n);
    Overlap& sum = sums_[n - 1];
    // Where the reference is too short for an n-gram, none can be wrong.
    if (found.reference > 0) sum.hypothesis += found.hypothesis;
    sum.reference += found.reference;
    sum.matches += found.matches;
  }
}

double Chrf::score() const {
  double precision = 0, recall = 0;
  int orders = 0;
  for (const Overlap& sum : sums_) {
    if (sum.hypothesis == 0 || sum.reference == 0) continue;
    precision += static_cast<double>(sum.matches) / static_cast<double>(sum.hypothesis);
    recall += static_cast<double>(sum.matches) / static_cast<double>(sum.reference);
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  constexpr double kFactor = kBeta * kBeta;
  return 100 * (1 + kFactor) * precision * recall / (kFactor * precision + recall);
}

}  // namespace reef::translation
