#pragma once
// What kind of character a code point is, as far as tokenizers ask: Unicode's general categories L
// and N, and its white space.

#include <cstdint>
#include <string_view>

namespace reef::data {

enum class CharClass : std::uint8_t { kOther, kLetter, kNumber, kSpace };

CharClass class_of(char32_t code);

/// A character at the front of a text.
struct Character {
  CharClass kind = CharClass::kOther;
  std::size_t bytes = 1;
};
/// Precondition: `text` is not empty. A byte that does not begin well-formed UTF-8 is a character
/// of its own, kOther: text of any bytes can be cut, and nothing is lost.
Character first_character(std::string_view text);

}  // namespace reef::data
