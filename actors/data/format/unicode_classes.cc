#include "actors/data/format/unicode_classes.h"

#include <algorithm>
#include <array>

#include "runtime/base/utf8.h"

namespace reef::data {
namespace {

constexpr CharClass L = CharClass::kLetter;
constexpr CharClass N = CharClass::kNumber;
constexpr CharClass S = CharClass::kSpace;

struct Range {
  char32_t first, last;
  CharClass kind;
};

/// Ascending.
constexpr Range kRanges[] = {
#include "actors/data/format/unicode_classes.inc"
};

CharClass look_up(char32_t code) {
  const Range* range =
      std::upper_bound(std::begin(kRanges), std::end(kRanges), code,
                       [](char32_t wanted, const Range& each) { return wanted < each.first; });
  if (range == std::begin(kRanges)) return CharClass::kOther;
  --range;
  return code <= range->last ? range->kind : CharClass::kOther;
}

/// Most text is below.
constexpr char32_t kTable = 0x800;

std::array<CharClass, kTable> make_table() {
  std::array<CharClass, kTable> table;
  for (char32_t code = 0; code < kTable; ++code) table[code] = look_up(code);
  return table;
}

std::size_t length_of(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

}  // namespace

CharClass class_of(char32_t code) {
  static const std::array<CharClass, kTable> table = make_table();
  return code < kTable ? table[code] : look_up(code);
}

Character first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = length_of(byte(0));
  if (length == 1) return {class_of(byte(0)), 1};
  if (length > text.size() || first_bad_utf8(text.substr(0, length)) != length) return {};
  char32_t code = byte(0) & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3f);
  return {class_of(code), length};
}

}  // namespace reef::data
