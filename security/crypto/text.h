#pragma once
// Keys and secrets as text. Decoders are strict: one text for one value, or what was revoked under
// one spelling would be valid under another.

#include <optional>
#include <string>
#include <string_view>

#include "security/crypto/crypto.h"

namespace reef::security {

/// URL-safe base64 (RFC 4648, section 5) without padding.
std::string to_base64(BytesView bytes);
/// Fills all of `out`. False for other characters, another length or stray bits at the end. Works
/// in the time that the length takes, whatever the content: it also reads secrets.
[[nodiscard]] bool from_base64(std::string_view text, std::span<std::byte> out);
/// Appends to memory for secrets: writes base64_size(bytes.size()) characters.
void write_base64(std::span<std::byte> out, BytesView bytes);
constexpr std::size_t base64_size(std::size_t bytes) { return (bytes * 4 + 2) / 3; }

/// Lower-case hexadecimal.
std::string to_hex(BytesView bytes);
/// The 32 bytes of 64 lower-case hexadecimal digits; nothing else.
std::optional<Hash256> hash_from_hex(std::string_view text);
/// Decimal without sign, spaces or leading zeros.
std::optional<std::uint64_t> number_from_text(std::string_view text);

}  // namespace reef::security
