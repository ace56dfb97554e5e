#include "security/crypto/text.h"

#include <sodium.h>

#include <charconv>

#include "runtime/base/check.h"
#include "runtime/base/text.h"

namespace reef::security {
namespace {

constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

}  // namespace

std::string to_base64(BytesView bytes) {
  std::string text(base64_size(bytes.size()) + 1, '\0');  // libsodium ends it with a zero
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kVariant);
  text.pop_back();
  return text;
}

bool from_base64(std::string_view text, std::span<std::byte> out) {
  if (text.size() != base64_size(out.size())) return false;
  // libsodium compares without branches, and so takes some bytes beyond ASCII for letters.
  unsigned char all = 0;
  for (const char c : text) all = static_cast<unsigned char>(all | static_cast<unsigned char>(c));
  if ((all & 0x80) != 0) return false;
  std::size_t size = 0;
  const char* end = nullptr;
  // It refuses stray bits itself.
  const int failed = sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                       text.data(), text.size(), nullptr, &size, &end, kVariant);
  return failed == 0 && size == out.size() && end == text.data() + text.size();
}

void write_base64(std::span<std::byte> out, BytesView bytes) {
  CHECK_EQ(out.size(), base64_size(bytes.size()));
  SecretBytes text(out.size() + 1);
  sodium_bin2base64(reinterpret_cast<char*>(text.data()), text.size(),
                    reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), kVariant);
  std::memcpy(out.data(), text.data(), out.size());
}

std::string to_hex(BytesView bytes) { return hex(as_text(bytes)); }

std::optional<Hash256> hash_from_hex(std::string_view text) {
  Hash256 hash;
  std::size_t size = 0;
  const char* end = nullptr;
  if (text.size() != 2 * hash.size()) return std::nullopt;
  const int failed = sodium_hex2bin(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                                    text.data(), text.size(), nullptr, &size, &end);
  if (failed != 0 || size != hash.size() || to_hex(hash) != text) return std::nullopt;
  return hash;
}

std::optional<std::uint64_t> number_from_text(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || stopped != end) return std::nullopt;
  return value;
}

}  // namespace reef::security
