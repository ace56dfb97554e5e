// Compiled once per instruction set with ATOLL_ISA naming it. Loops are written so that GCC 12
// turns them into vectors: fixed trip counts, no calls, selections between values already computed.

#include "ops/codec/isa/kernels.h"

namespace reef::codec {
namespace ATOLL_ISA {
namespace {

using std::int16_t;
using std::int32_t;
using std::int8_t;
using std::size_t;
using std::uint16_t;
using std::uint32_t;
using std::uint8_t;

#define ATOLL_INLINE inline __attribute__((always_inline))

constexpr int32_t kMagnitude = 0x7FFFFFFF;
constexpr int32_t kInfinity = 0x7F800000;

ATOLL_INLINE int32_t bits_of(float x) { return __builtin_bit_cast(int32_t, x); }
ATOLL_INLINE float float_of(int32_t bits) { return __builtin_bit_cast(float, bits); }

// Adding 1.5 x 2^23 leaves the nearest integer, ties to even, in the low bits of the sum.
constexpr float kRounder = 12582912.0f;
constexpr int32_t kRounderBits = 0x4B400000;
ATOLL_INLINE int32_t nearest(float x) { return bits_of(x + kRounder) - kRounderBits; }

// ---- scales
//
// The largest magnitude of a group over the largest code, rounded to bf16. Rounding moves it by at
// most one part in 256, and 127 / (1 +- 1/256) still rounds to 127: so the largest value always
// becomes the largest code, and a group that was decoded encodes to itself again. Between the
// bounds no product below is subnormal or overflows, whatever a processor does with those.

constexpr float kLeastScale = 0x1p-100f;  ///< below it all values of a group become 0

template <int kLimit>
ATOLL_INLINE int32_t greatest_scale() {  ///< bits of the largest bf16 that times kLimit is finite
  return (bits_of(0x1.fffffep127f / kLimit) >> 16) - 1;
}

template <int kLimit>
ATOLL_INLINE uint16_t scale_for(int32_t magnitude) {
  if (magnitude >= kInfinity) return kPoisonedScale;
  const float exact = float_of(magnitude) / kLimit;
  if (exact < kLeastScale) return 0;
  const int32_t bits = bits_of(exact);
  const int32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(rounded > greatest_scale<kLimit>() ? kPoisonedScale : rounded);
}

template <int kLimit>
ATOLL_INLINE bool is_scale(uint16_t bits) {
  const bool between = bits >= bits_of(kLeastScale) >> 16 && bits <= greatest_scale<kLimit>();
  return between || bits == 0 || bits == kPoisonedScale;
}

ATOLL_INLINE float widened(uint16_t scale) { return float_of(static_cast<int32_t>(scale) << 16); }

template <size_t kGroup>
ATOLL_INLINE int32_t magnitude_of(const float* x) {
  int32_t most = 0;
  for (size_t i = 0; i < kGroup; ++i) {
    const int32_t bits = bits_of(x[i]) & kMagnitude;
    most = bits > most ? bits : most;
  }
  return most;
}

/// `Code` says how kGroup values become bytes and back.
template <typename Code>
void encode_groups(const float* x, size_t groups, void* scales, void* codes) {
  auto* to = static_cast<uint8_t*>(codes);
  auto* scale_to = static_cast<uint8_t*>(scales);
  for (size_t g = 0; g < groups; ++g, x += Code::kGroup, to += Code::kBytes) {
    const uint16_t scale = scale_for<Code::kLimit>(magnitude_of<Code::kGroup>(x));
    __builtin_memcpy(scale_to + 2 * g, &scale, 2);
    if (scale == 0 || scale == kPoisonedScale)
      __builtin_memset(to, 0, Code::kBytes);
    else
      Code::encode(x, 1.0f / widened(scale), to);
  }
}

template <typename Code>
bool decode_groups(const void* scales, const void* codes, size_t groups, float* out) {
  const auto* from = static_cast<const uint8_t*>(codes);
  const auto* scale_from = static_cast<const uint8_t*>(scales);
  bool good = true;
  for (size_t g = 0; g < groups; ++g, from += Code::kBytes, out += Code::kGroup) {
    uint16_t scale;
    __builtin_memcpy(&scale, scale_from + 2 * g, 2);
    good &= is_scale<Code::kLimit>(scale);
    good &= Code::decode(from, widened(scale), out);
  }
  return good;
}

// ---- codes

struct Int8 {
  static constexpr size_t kGroup = kInt8Group;
  static constexpr size_t kBytes = kInt8Group;
  static constexpr int kLimit = 127;

  static ATOLL_INLINE void encode(const float* x, float inverse, uint8_t* to) {
    for (size_t i = 0; i < kGroup; ++i) to[i] = static_cast<uint8_t>(nearest(x[i] * inverse));
  }
  static ATOLL_INLINE bool decode(const uint8_t* from, float scale, float* out) {
    uint8_t bad = 0;
    for (size_t i = 0; i < kGroup; ++i) bad |= from[i] == 0x80;
    for (size_t i = 0; i < kGroup; ++i)
      out[i] = static_cast<float>(static_cast<int8_t>(from[i])) * scale;
    return bad == 0;
  }
};

/// Byte j holds value j in its low half and value j + 16 in its high half.
struct Int4 {
  static constexpr size_t kGroup = kInt4Group;
  static constexpr size_t kBytes = kInt4GroupBytes;
  static constexpr int kLimit = 7;

  static ATOLL_INLINE void encode(const float* x, float inverse, uint8_t* to) {
    uint8_t values[kGroup];
    for (size_t i = 0; i < kGroup; ++i) values[i] = static_cast<uint8_t>(nearest(x[i] * inverse));
#pragma GCC unroll 1  // taken apart into 16 statements it would stay scalar
    for (size_t i = 0; i < kBytes; ++i) {
      to[i] = static_cast<uint8_t>((values[i] & 15) | values[i + kBytes] << 4);
    }
  }
  static ATOLL_INLINE bool decode(const uint8_t* from, float scale, float* out) {
    uint8_t values[kGroup];
#pragma GCC unroll 1
    for (size_t i = 0; i < kBytes; ++i) {
      values[i] = from[i] & 15;
      values[i + kBytes] = from[i] >> 4;
    }
    uint8_t bad = 0;
    for (size_t i = 0; i < kGroup; ++i) bad |= values[i] == 8;
    for (size_t i = 0; i < kGroup; ++i) {
      const auto value = static_cast<int8_t>((values[i] ^ 8) - 8);
      out[i] = static_cast<float>(value) * scale;
    }
    return bad == 0;
  }
};

/// e4m3 without infinities (its 0x7F, NaN, is never written: the scale says that): sign, exponent
/// with bias 7, three bits of mantissa; subnormals in steps of 2^-9.
struct FP8 {
  static constexpr size_t kGroup = kFP8Group;
  static constexpr size_t kBytes = kFP8Group;
  static constexpr int kLimit = 448;

  static ATOLL_INLINE void encode(const float* x, float inverse, uint8_t* to) {
    for (size_t i = 0; i < kGroup; ++i) {
      const int32_t scaled = bits_of(x[i] * inverse);
      const int32_t magnitude = scaled & kMagnitude;
      const int32_t normal = ((magnitude + 0x7FFFF + (magnitude >> 20 & 1)) >> 20) - (120 << 3);
      // Near 2^14 an fp32 step is 2^-9.
      const int32_t subnormal = bits_of(float_of(magnitude) + 0x1p14f) - bits_of(0x1p14f);
      const int32_t code = magnitude < bits_of(0x1p-6f) ? subnormal : normal;
      to[i] = static_cast<uint8_t>(code | (scaled >> 24 & 0x80));
    }
  }
  static ATOLL_INLINE bool decode(const uint8_t* from, float scale, float* out) {
    uint8_t bad = 0;
    for (size_t i = 0; i < kGroup; ++i) bad |= (from[i] & 0x7F) == 0x7F;
    for (size_t i = 0; i < kGroup; ++i) {
      const int32_t code = from[i] & 0x7F;
      const int32_t normal = (code << 20) + (120 << 23);
      const int32_t subnormal = bits_of(static_cast<float>(code) * 0x1p-9f);
      const int32_t magnitude = code < 8 ? subnormal : normal;
      const int32_t sign = static_cast<int32_t>(from[i] & 0x80) << 24;
      out[i] = float_of(magnitude | sign) * scale;
    }
    return bad == 0;
  }
};

// ---- sparse selection

constexpr size_t kFlags = 64;

size_t find_large(const float* x, size_t count, uint32_t threshold, uint32_t* positions) {
  const auto least = static_cast<int32_t>(threshold);
  uint32_t* end = positions;
  size_t at = 0;
  for (; at + kFlags <= count; at += kFlags) {
    uint8_t flags[kFlags];
    for (size_t i = 0; i < kFlags; ++i) flags[i] = (bits_of(x[at + i]) & kMagnitude) >= least;
    for (size_t word = 0; word < kFlags; word += 8) {
      std::uint64_t set;
      __builtin_memcpy(&set, flags + word, 8);
      while (set != 0) {
        *end++ = static_cast<uint32_t>(at + word) + static_cast<uint32_t>(__builtin_ctzll(set) / 8);
        set &= set - 1;
      }
    }
  }
  for (; at < count; ++at) {
    if ((bits_of(x[at]) & kMagnitude) >= least) *end++ = static_cast<uint32_t>(at);
  }
  return static_cast<size_t>(end - positions);
}

void add(const float* x, size_t count, float* sum) {
  for (size_t i = 0; i < count; ++i) sum[i] += x[i];
}

// ---- low rank

constexpr size_t kSums = 16;
using Sums = float __attribute__((vector_size(kSums * sizeof(float))));

void times(const float* matrix, size_t rows, size_t columns, const float* factor, float* out) {
  for (size_t i = 0; i < rows; ++i, matrix += columns) {
    Sums sums = {};
    size_t j = 0;
    for (; j + kSums <= columns; j += kSums) {
      Sums a, b;
      __builtin_memcpy(&a, matrix + j, sizeof a);
      __builtin_memcpy(&b, factor + j, sizeof b);
      sums += a * b;
    }
    for (size_t lane = 0; j + lane < columns; ++lane)
      sums[lane] += matrix[j + lane] * factor[j + lane];
    for (size_t half = kSums / 2; half > 0; half /= 2) {
      for (size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    }
    out[i] = sums[0];
  }
}

void transposed_times(const float* matrix, size_t rows, size_t columns, const float* factor,
                      float* out) {
  for (size_t j = 0; j < columns; ++j) out[j] = 0;
  for (size_t i = 0; i < rows; ++i, matrix += columns) {
    for (size_t j = 0; j < columns; ++j) out[j] += matrix[j] * factor[i];
  }
}

void add_outer(const float* left, size_t rows, const float* right, size_t columns, float* out) {
  for (size_t i = 0; i < rows; ++i, out += columns) {
    for (size_t j = 0; j < columns; ++j) out[j] += left[i] * right[j];
  }
}

#define ATOLL_NAME_INNER(isa) #isa
#define ATOLL_NAME(isa) ATOLL_NAME_INNER(isa)

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {ATOLL_NAME(ATOLL_ISA),
                          encode_groups<Int8>,
                          encode_groups<Int4>,
                          encode_groups<FP8>,
                          decode_groups<Int8>,
                          decode_groups<Int4>,
                          decode_groups<FP8>,
                          find_large,
                          add,
                          times,
                          transposed_times,
                          add_outer};

}  // namespace ATOLL_ISA
}  // namespace reef::codec
