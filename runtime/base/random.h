#pragma once
// Counter-based random numbers: a value is a pure function of its key and position, so that it does
// not depend on which device draws it, in which order, or how often a step is repeated.

#include <array>
#include <cstdint>
#include <string_view>

namespace reef {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
/// Returns four independent 32-bit values for one counter under one key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// One stream of random numbers, named by a seed and by what they are for.
class Random {
 public:
  /// `purpose` separates streams of one seed ("init/h.0.attn", "data").
  Random(std::uint64_t seed, std::string_view purpose);

  /// 32 random bits at position (row, index).
  std::uint32_t bits(std::uint64_t row, std::uint64_t index) const;
  /// Uniform in [0, 1), 24 bits.
  float uniform(std::uint64_t row, std::uint64_t index) const;
  /// Standard normal (Box-Muller on two of the four words).
  float normal(std::uint64_t row, std::uint64_t index) const;
  /// Uniform in [0, bound) by multiply-shift of 64 bits; bias below 2^-32 for bounds under 2^32.
  std::uint64_t below(std::uint64_t bound, std::uint64_t row, std::uint64_t index) const;
  /// For kernels that compute many blocks at once: position (row, index) is word index % 4 of
  /// philox({index / 4, row} as four words of 32 bits, low first; this key).
  const std::array<std::uint32_t, 2>& key() const { return key_; }

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t row, std::uint64_t index) const;
  std::array<std::uint32_t, 2> key_;
};

/// FNV-1a, 64 bits: a stable name-to-number map. Not for anything a peer could attack.
std::uint64_t stable_hash(std::string_view text);

}  // namespace reef
