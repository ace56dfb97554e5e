#include "actors/metrics/translation/tokenize_13a.h"

namespace reef::translation {
namespace {

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_point(char32_t c) { return c == U'.' || c == U','; }
/// All of ASCII but letters, digits, control characters and ' , - .
bool stands_alone(char32_t c) {
  return (c >= U' ' && c <= U'&') || (c >= U'(' && c <= U'+') || c == U'/' ||
         (c >= U':' && c <= U'@') || (c >= U'[' && c <= U'`') || (c >= U'{' && c <= U'~');
}

void replace(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (std::size_t at = text.find(from); at != std::u32string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// Every two neighbours that fit, from the left and none of them twice, get a space between them
/// and another one around the one of them that becomes a word.
enum class Word { kFirst, kSecond };
template <typename First, typename Second>
std::u32string part(std::u32string_view text, First first, Second second, Word word) {
  std::u32string parted;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !first(text[i]) || !second(text[i + 1])) {
      parted += text[i];
      continue;
    }
    if (word == Word::kFirst) parted += U' ';
    parted.append({text[i], U' ', text[i + 1]});
    if (word == Word::kSecond) parted += U' ';
    ++i;
  }
  return parted;
}

}  // namespace

std::u32string tokenize_13a(std::u32string_view line) {
  std::u32string text(line);
  replace(text, U"<skipped>", U"");
  replace(text, U"&quot;", U"\"");
  replace(text, U"&amp;", U"&");
  replace(text, U"&lt;", U"<");
  replace(text, U"&gt;", U">");
  std::u32string parted = U" ";
  for (const char32_t c : text) {
    if (stands_alone(c)) {
      parted.append({U' ', c, U' '});
    } else {
      parted += c;
    }
  }
  parted += U' ';
  const auto no_digit = [](char32_t c) { return !is_digit(c); };
  const auto is_hyphen = [](char32_t c) { return c == U'-'; };
  parted = part(parted, no_digit, is_point, Word::kSecond);
  parted = part(parted, is_point, no_digit, Word::kFirst);
  return part(parted, is_digit, is_hyphen, Word::kSecond);
}

}  // namespace reef::translation
