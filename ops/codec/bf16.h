#pragma once
// fp32 to bf16 and back, bit by bit: no rounding mode, flush-to-zero flag or instruction set
// changes the answer, so a receiver on another machine computes the same bits. The loops vectorise.

#include <bit>
#include <cstdint>

namespace reef::codec {

/// Round to nearest even. Infinities stay; overflow becomes infinity; a NaN stays one and turns
/// quiet, since cutting its payload could otherwise leave an infinity.
inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 0x40u;
  const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return static_cast<std::uint16_t>(nan ? quiet : rounded);
}

inline float from_bf16(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

}  // namespace reef::codec
