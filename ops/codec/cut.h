#pragma once
// Where the k largest of some values end, by magnitude. Private to ops/codec.

#include <bit>
#include <cstdint>
#include <span>

namespace reef::codec {

/// Over every magnitude.
inline constexpr std::uint32_t kMagnitudes = 0x80000000u;
/// Grows with |value|; of what is not finite it is largest.
inline std::uint32_t magnitude(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFu;
}

/// Asked of each value once, in order.
struct Cut {
  std::uint32_t least;  ///< the smallest magnitude that is kept; not 0
  std::size_t ties;     ///< how many of that magnitude still are

  bool keeps(float value) {
    const std::uint32_t key = magnitude(value);
    if (key < least || (key == least && ties == 0)) return false;
    if (key == least) --ties;
    return true;
  }
};

/// Fewer than k that are not zero: keeps all of those. `k` is over 0.
Cut cut_at(std::span<const float> values, std::size_t k);

}  // namespace reef::codec
