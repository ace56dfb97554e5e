#include "actors/metrics/translation/bleu.h"

#include <cmath>

#include "actors/metrics/translation/tokenize_13a.h"

namespace reef::translation {

void Bleu::add(std::string_view hypothesis, std::string_view reference) {
  const Units ours = words_of(tokenize_13a(characters_of(hypothesis)));
  const Units theirs = words_of(tokenize_13a(characters_of(reference)));
  for (std::size_t n = 1; n <= kOrder; ++n) {
    const Overlap found = overlap(ours, theirs, n);
    sums_[n - 1].hypothesis += found.hypothesis;
    sums_[n - 1].reference += found.reference;
    sums_[n - 1].matches += found.matches;
  }
}

double Bleu::brevity_penalty() const {
  const auto ours = static_cast<double>(sums_[0].hypothesis);
  const auto theirs = static_cast<double>(sums_[0].reference);
  if (ours >= theirs) return 1;
  return ours > 0 ? std::exp(1 - theirs / ours) : 0;
}

double Bleu::score() const {
  if (sums_[0].matches == 0) return 0;  // then no longer n-gram matches either
  double logarithms = 0;
  double halves = 1;
  for (const Overlap& sum : sums_) {
    if (sum.hypothesis == 0) return 0;  // all lines are shorter than that
    // Each further order without a match counts as half as many as the one before, from one half.
    const double matches = sum.matches > 0 ? static_cast<double>(sum.matches) : (halves /= 2);
    logarithms += std::log(matches / static_cast<double>(sum.hypothesis));
  }
  return 100 * brevity_penalty() * std::exp(logarithms / kOrder);
}

}  // namespace reef::translation
