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

// ---- two bits: magnitudes below the mean of a group become their mean, the others theirs
//
// These are the two levels of least squared error for that cut; no cut is far better where values
// have been chosen for their size. Decoded values have the same cut and the same means, so that
// they encode to themselves again: sums of 64 bf16 values are exact.

constexpr size_t kLanes = 8;
using Doubles = double __attribute__((vector_size(kLanes * sizeof(double))));

/// Of a group, in a fixed order.
ATOLL_INLINE double total(const double* values) {
  Doubles sums = {};
  for (size_t i = 0; i < kInt2Group; i += kLanes) {
    Doubles more;
    __builtin_memcpy(&more, values + i, sizeof more);
    sums += more;
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

constexpr uint16_t kGreatestLevel = 0x7F7F;  ///< the largest bf16

ATOLL_INLINE uint16_t level_for(double mean) {
  const float exact = static_cast<float>(mean);
  if (exact < kLeastScale) return 0;
  const int32_t bits = bits_of(exact);
  const int32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(rounded > kGreatestLevel ? kPoisonedScale : rounded);
}

struct Levels {
  uint16_t small, large;
};

/// Sets `is_large` beside it.
ATOLL_INLINE Levels levels_of(const float* x, uint8_t* is_large) {
  if (magnitude_of<kInt2Group>(x) >= kInfinity) return {kPoisonedScale, kPoisonedScale};
  double magnitudes[kInt2Group], part[kInt2Group];
  for (size_t i = 0; i < kInt2Group; ++i) {
    const int32_t bits = bits_of(x[i]) & kMagnitude;
    magnitudes[i] = float_of(bits < bits_of(0x1p-126f) ? 0 : bits);  // processors differ on these
  }
  const double mean = total(magnitudes) / kInt2Group;
  size_t larger = 0;
  for (size_t i = 0; i < kInt2Group; ++i) {
    is_large[i] = magnitudes[i] >= mean;
    larger += is_large[i];
    part[i] = magnitudes[i] >= mean ? magnitudes[i] : 0;
  }
  const uint16_t large = level_for(total(part) / static_cast<double>(larger));
  for (size_t i = 0; i < kInt2Group; ++i) part[i] = magnitudes[i] - part[i];
  const size_t smaller = larger < kInt2Group ? kInt2Group - larger : 1;
  if (large == kPoisonedScale) return {large, large};
  return {level_for(total(part) / static_cast<double>(smaller)), large};
}

/// Byte j holds values j, j + 16, j + 32 and j + 48, the first in its lowest bits: 1 for the larger
/// level, 2 for the sign.
void encode_int2(const float* x, size_t groups, void* scales, void* codes) {
  auto* to = static_cast<uint8_t*>(codes);
  auto* scale_to = static_cast<uint8_t*>(scales);
  for (size_t g = 0; g < groups; ++g, x += kInt2Group, to += kInt2GroupBytes) {
    uint8_t values[kInt2Group];
    const Levels levels = levels_of(x, values);
    __builtin_memcpy(scale_to + 4 * g, &levels.small, 2);
    __builtin_memcpy(scale_to + 4 * g + 2, &levels.large, 2);
    if (levels.large == 0 || levels.large == kPoisonedScale) {
      __builtin_memset(to, 0, kInt2GroupBytes);
      continue;
    }
    for (size_t i = 0; i < kInt2Group; ++i)
      values[i] =
          static_cast<uint8_t>(values[i] | (static_cast<uint32_t>(bits_of(x[i])) >> 31) * 2);
#pragma GCC unroll 1
    for (size_t i = 0; i < kInt2GroupBytes; ++i) {
      to[i] = static_cast<uint8_t>(values[i] | values[i + 16] << 2 | values[i + 32] << 4 |
                                   values[i + 48] << 6);
    }
  }
}

ATOLL_INLINE bool is_level(uint16_t bits) {
  return bits == 0 || (bits >= bits_of(kLeastScale) >> 16 && bits <= kGreatestLevel);
}

bool decode_int2(const void* scales, const void* codes, size_t groups, float* out) {
  const auto* from = static_cast<const uint8_t*>(codes);
  const auto* scale_from = static_cast<const uint8_t*>(scales);
  bool good = true;
  for (size_t g = 0; g < groups; ++g, from += kInt2GroupBytes, out += kInt2Group) {
    Levels levels;
    __builtin_memcpy(&levels.small, scale_from + 4 * g, 2);
    __builtin_memcpy(&levels.large, scale_from + 4 * g + 2, 2);
    const bool poisoned = levels.small == kPoisonedScale && levels.large == kPoisonedScale;
    good &= poisoned ||
            (is_level(levels.small) && is_level(levels.large) && levels.small <= levels.large);
    const int32_t small = static_cast<int32_t>(levels.small) << 16;
    const int32_t large = static_cast<int32_t>(levels.large) << 16;
    uint8_t values[kInt2Group];
#pragma GCC unroll 1
    for (size_t i = 0; i < kInt2GroupBytes; ++i) {
      for (size_t part = 0; part < 4; ++part) values[i + 16 * part] = from[i] >> 2 * part & 3;
    }
    for (size_t i = 0; i < kInt2Group; ++i) {
      const int32_t level = (values[i] & 1) != 0 ? large : small;
      const int32_t sign = static_cast<int32_t>(static_cast<uint32_t>(values[i] & 2) << 30);
      out[i] = float_of(level | sign);
    }
  }
  return good;
}

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

void column_maxima(const float* x, size_t rows, uint32_t* maxima) {
  int32_t most[kColumns] = {};
  for (size_t i = 0; i < rows; ++i, x += kColumns) {
    for (size_t j = 0; j < kColumns; ++j) {
      const int32_t bits = bits_of(x[j]) & kMagnitude;
      most[j] = bits > most[j] ? bits : most[j];
    }
  }
  __builtin_memcpy(maxima, most, sizeof most);
}

size_t count_large(const uint32_t* maxima, uint32_t threshold) {
  uint32_t count = 0;
  for (size_t j = 0; j < kColumns; ++j) count += maxima[j] >= threshold;
  return count;
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
                          encode_int2,
                          encode_groups<FP8>,
                          decode_groups<Int8>,
                          decode_groups<Int4>,
                          decode_int2,
                          decode_groups<FP8>,
                          find_large,
                          column_maxima,
                          count_large,
                          add,
                          times,
                          transposed_times,
                          add_outer};

}  // namespace ATOLL_ISA
}  // namespace reef::codec
