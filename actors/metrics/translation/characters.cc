#include "actors/metrics/translation/characters.h"

#include <algorithm>
#include <unordered_map>

#include "runtime/base/utf8.h"

namespace reef::translation {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

/// Takes a character off the front of `text`, which begins with a well-formed one.
char32_t take(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t character = length == 1 ? first : first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  text.remove_prefix(length);
  return character;
}

using Counts = std::unordered_map<std::u32string_view, std::int64_t>;

Counts count(const Units& row, std::size_t n) {
  Counts counts;
  for (std::size_t i = 0; i + n <= row.units.size(); ++i) {
    const std::size_t begin = row.units[i].begin;
    ++counts[std::u32string_view(row.text).substr(begin, row.units[i + n - 1].end - begin)];
  }
  return counts;
}

std::int64_t grams(const Units& row, std::size_t n) {
  return row.units.size() < n ? 0 : static_cast<std::int64_t>(row.units.size() - n + 1);
}

}  // namespace

std::u32string characters_of(std::string_view utf8) {
  std::u32string characters;
  while (!utf8.empty()) {
    std::string_view good = utf8.substr(0, first_bad_utf8(utf8));
    utf8.remove_prefix(good.size());
    while (!good.empty()) characters += take(good);
    if (utf8.empty()) break;
    characters += utf8.front() == '\0' ? U'\0' : kReplacement;
    utf8.remove_prefix(1);
  }
  return characters;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

Units characters_without_spaces(std::u32string_view text) {
  Units row;
  for (const char32_t character : text) {
    if (is_space(character)) continue;
    row.units.push_back({row.text.size(), row.text.size() + 1});
    row.text += character;
  }
  return row;
}

Units words_of(std::u32string_view text) {
  Units row;
  bool within = false;
  for (const char32_t character : text) {
    if (is_space(character)) {
      within = false;
      continue;
    }
    if (!within) {
      if (!row.text.empty()) row.text += U' ';
      row.units.push_back({row.text.size(), row.text.size()});
    }
    within = true;
    row.text += character;
    row.units.back().end = row.text.size();
  }
  return row;
}

Overlap overlap(const Units& hypothesis, const Units& reference, std::size_t n) {
  Overlap found{grams(hypothesis, n), grams(reference, n), 0};
  if (found.hypothesis == 0 || found.reference == 0) return found;
  const Counts wanted = count(reference, n);
  for (const auto& [gram, times] : count(hypothesis, n)) {
    const auto there = wanted.find(gram);
    if (there != wanted.end()) found.matches += std::min(times, there->second);
  }
  return found;
}

}  // namespace reef::translation
