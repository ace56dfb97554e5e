#pragma once
// chrF2 (Popovic 2015, "chrF: character n-gram F-score for automatic MT evaluation"): how many
// n-grams of characters a translation and its reference have in common, of one to six characters.
// The score of many lines, as sacrebleu computes it by default: white space does not count, recall
// weighs twice as much as precision, orders are averaged over those that both sides have.

#include <array>
#include <string_view>

#include "actors/metrics/translation/characters.h"

namespace reef::translation {

class Chrf {
 public:
  static constexpr std::size_t kOrder = 6;
  static constexpr double kBeta = 2;

  /// A line and its reference, UTF-8; other bytes count as U+FFFD each.
  void add(std::string_view hypothesis, std::string_view reference);
  /// 0..100. Of no lines: 0.
  double score() const;

 private:
  std::array<Overlap, kOrder> sums_{};  ///< by n - 1
};

}  // namespace reef::translation
