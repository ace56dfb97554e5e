#pragma once
// Dropout of attention's weights, drawn by vectors; for isa/attention.cc alone. The numbers are
// those of ops/catalog/draw.h.

#include "ops/cpu/isa/attention.h"
#include "ops/cpu/isa/attention_vector.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

/// The products of the lower halves of 64-bit lanes; what stands in the upper ones does not matter.
ATOLL_INLINE WideVec multiply_low(WideVec a, WideVec b) {
#if defined(__AVX512F__)
  return reinterpret_cast<WideVec>(
      _mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<WideVec>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#else
  return reinterpret_cast<WideVec>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#endif
}

/// The counters of one Philox block in each 64-bit lane; only the lower halves count.
struct Counters {
  WideVec c0, c1, c2, c3;
};

/// One round of Philox4x32 (runtime/base/random.h).
ATOLL_INLINE Counters philox_round(const Counters& c, WideVec k0, WideVec k1) {
  const WideVec p0 = multiply_low(c.c0, WideVec{} + 0xD2511F53);
  const WideVec p2 = multiply_low(c.c2, WideVec{} + 0xCD9E8D57);
  return {(p2 >> 32) ^ c.c1 ^ k0, p2, (p0 >> 32) ^ c.c3 ^ k1, p0};
}

ATOLL_INLINE WideVec low_halves(WideVec low, WideVec high) {
  return (low & 0xFFFFFFFF) | (high << 32);
}

constexpr Index kBlocks = kLanes / 2;          ///< of Philox in one vector
constexpr Index kDrawn = 2 * 4 * kBlocks;      ///< numbers drawn at once: two vectors of blocks
constexpr Index kDrawSlack = kDrawn + kLanes;  ///< what a row of draws may need past its length

/// Writes the words of one vector of blocks to `out`, block after block.
ATOLL_INLINE void write_words(const Counters& c, std::uint32_t* out) {
  std::uint64_t lower[kBlocks];
  std::uint64_t upper[kBlocks];
  const WideVec c01 = low_halves(c.c0, c.c1);
  const WideVec c23 = low_halves(c.c2, c.c3);
  __builtin_memcpy(lower, &c01, sizeof lower);
  __builtin_memcpy(upper, &c23, sizeof upper);
  for (Index b = 0; b < kBlocks; ++b) {
    __builtin_memcpy(out + 4 * b, lower + b, sizeof lower[b]);
    __builtin_memcpy(out + 4 * b + 2, upper + b, sizeof upper[b]);
  }
}

/// Random words of elements 4 `block` and on, at least `count`, up to kDrawn - 1 more.
void draw_words(const WeightDropout& d, std::uint64_t block, Index count, std::uint32_t* out) {
  WideVec lanes;
  for (Index b = 0; b < kBlocks; ++b) lanes[b] = static_cast<std::uint64_t>(b);
  for (Index done = 0; done < count; done += kDrawn, block += 2 * kBlocks) {
    const WideVec first = lanes + block;
    const WideVec second = first + static_cast<std::uint64_t>(kBlocks);
    const WideVec sample = WideVec{} + d.sample;
    Counters a{first, first >> 32, sample, sample >> 32};
    Counters b{second, second >> 32, sample, sample >> 32};
    WideVec k0 = WideVec{} + d.key[0];
    WideVec k1 = WideVec{} + d.key[1];
    for (int round = 0; round < 10; ++round) {
      a = philox_round(a, k0, k1);
      b = philox_round(b, k0, k1);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    write_words(a, out + done);
    write_words(b, out + done + 4 * kBlocks);
  }
}

/// The dropout factors, 0 or 1 / (1 - p), of one row of a tile.
class FactorRow {
 public:
  explicit FactorRow(const WeightDropout* dropout) : dropout_(dropout) {
    if (dropout == nullptr) return;
    // A draw u of 24 bits is dropped when u 2^-24 < p, that is u < ceil(p 2^24).
    const float bound = dropout->probability * 0x1p24f;
    bound_ = static_cast<std::int32_t>(__builtin_ceilf(bound));
    kept_ = 1.0f / (1 - dropout->probability);
  }
  explicit operator bool() const { return dropout_ != nullptr; }
  /// For columns [0, end) of row i.
  void draw(Index i, Index end) {
    const std::uint64_t first =
        dropout_->first + static_cast<std::uint64_t>(i) * dropout_->row_stride;
    const std::uint64_t skipped = first % 4;
    draw_words(*dropout_, first / 4, end + static_cast<Index>(skipped), words_);
    at_ = words_ + skipped;
  }
  Vec operator[](Index j) const {
    UintVec words;
    __builtin_memcpy(&words, at_ + j, sizeof words);
    const IntVec draws = reinterpret_cast<IntVec>(words >> 8);
    return draws < bound_ ? Vec{} : all(kept_);
  }

 private:
  const WeightDropout* dropout_;
  std::int32_t bound_ = 0;
  float kept_ = 1;
  std::uint32_t words_[kMostColumns + kDrawSlack];
  const std::uint32_t* at_ = words_;
};

}  // namespace
}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
