#include "actors/data/format/byte_alphabet.h"

#include <array>

namespace reef::data {
namespace {

constexpr std::size_t kCharacters = 256 + 68;  ///< 68 bytes have no character of their own

bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

std::array<char16_t, 256> make_alphabet() {
  std::array<char16_t, 256> alphabet{};
  char16_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    alphabet[byte] = stands_for_itself(byte) ? static_cast<char16_t>(byte) : next++;
  }
  return alphabet;
}

/// Bytes by code point; -1 for none.
std::array<int, kCharacters> make_bytes() {
  std::array<int, kCharacters> bytes;
  bytes.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) bytes[byte_alphabet()[byte]] = static_cast<int>(byte);
  return bytes;
}

}  // namespace

const std::array<char16_t, 256>& byte_alphabet() {
  static const std::array<char16_t, 256> alphabet = make_alphabet();
  return alphabet;
}

std::string to_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const char16_t code = byte_alphabet()[static_cast<unsigned char>(byte)];
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else {
      text += static_cast<char>(0xc0 | code >> 6);
      text += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return text;
}

std::optional<std::string> from_alphabet(std::string_view text) {
  static const std::array<int, kCharacters> bytes = make_bytes();
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = static_cast<unsigned char>(text[i]);
    if (code >= 0x80) {
      // All of the alphabet is below U+0800: two bytes.
      if (code >> 5 != 6 || i + 1 == text.size()) return std::nullopt;
      const unsigned second = static_cast<unsigned char>(text[++i]);
      if (second >> 6 != 2) return std::nullopt;
      code = (code & 0x1f) << 6 | (second & 0x3f);
    }
    if (code >= kCharacters || bytes[code] < 0) return std::nullopt;
    result += static_cast<char>(bytes[code]);
  }
  return result;
}

}  // namespace reef::data
