#pragma once
// Lines of text as rows of units, and the n-grams that two rows have in common: what chrF and BLEU
// both count. Private to actors/metrics/translation.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reef::translation {

/// The characters of UTF-8. A byte that is no part of any becomes U+FFFD.
std::u32string characters_of(std::string_view utf8);

/// What Python's str.isspace() calls white space.
bool is_space(char32_t character);

/// A row of units, each a stretch of `text`; from one unit's begin to another's end is an n-gram.
struct Units {
  struct Unit {
    std::size_t begin, end;
  };
  std::u32string text;
  std::vector<Unit> units;
};
/// All characters that are not white space.
Units characters_without_spaces(std::u32string_view text);
/// The words between white space, one space between two.
Units words_of(std::u32string_view text);

struct Overlap {
  std::int64_t hypothesis = 0;  ///< its n-grams
  std::int64_t reference = 0;
  std::int64_t matches = 0;  ///< an n-gram counts as often as both have it
};
Overlap overlap(const Units& hypothesis, const Units& reference, std::size_t n);

}  // namespace reef::translation
