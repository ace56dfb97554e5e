#pragma once
// BLEU (Papineni et al. 2002): the share of a translation's n-grams of one to four words that its
// reference has, too, as a geometric mean, with a penalty for translations that are too short. The
// score of many lines with one reference each, as sacrebleu computes it by default: words by the
// rules 13a, case counts, an order without a match is smoothed exponentially.

#include <array>
#include <cstdint>
#include <string_view>

#include "actors/metrics/translation/characters.h"

namespace reef::translation {

class Bleu {
 public:
  static constexpr std::size_t kOrder = 4;

  /// A line and its reference, UTF-8; other bytes count as U+FFFD each.
  void add(std::string_view hypothesis, std::string_view reference);
  /// 0..100. Of no lines: 0.
  double score() const;
  /// Below 1 when all translations together have fewer words than the references.
  double brevity_penalty() const;

 private:
  std::array<Overlap, kOrder> sums_{};  ///< by n - 1
};

}  // namespace reef::translation
