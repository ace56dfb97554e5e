#pragma once
// GPT-2's alphabet: a printable character for each byte, so that a vocabulary of byte strings can
// stand in JSON. Printable bytes of Latin-1 stand for themselves, the others for U+0100 on.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reef::data {

/// Code points by byte.
const std::array<char16_t, 256>& byte_alphabet();
/// "Ġthe" for " the".
std::string to_alphabet(std::string_view bytes);
/// Back; nothing when a character is not of the alphabet.
std::optional<std::string> from_alphabet(std::string_view text);

}  // namespace reef::data
