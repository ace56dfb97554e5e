#pragma once
// More of vectors as wide as the registers, for isa/attention.cc alone, which is compiled once per
// instruction set; nothing of the standard library may be used here (see kernels.h).

#include <immintrin.h>

#include "ops/cpu/isa/product_vector.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

typedef std::int32_t IntVec __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t UintVec __attribute__((vector_size(4 * kLanes)));
typedef std::uint64_t WideVec __attribute__((vector_size(4 * kLanes)));

constexpr float kMinusInfinity = -__builtin_inff();

ATOLL_INLINE Index least(Index a, Index b) { return a < b ? a : b; }
ATOLL_INLINE Index most(Index a, Index b) { return a > b ? a : b; }
ATOLL_INLINE Index padded(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

/// The larger one; x when it is a NaN.
ATOLL_INLINE Vec at_least(Vec low, Vec x) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xFFFF, low, x);
#elif defined(__AVX2__)
  return _mm256_max_ps(low, x);
#else
  return _mm_max_ps(low, x);
#endif
}

/// 2^x for x <= 127.5; 0 below -126.5; NaN stays. Adding a number so large that only integers are
/// left splits x and puts 127 + integer where the shift turns it into an exponent; the polynomial
/// is minimax in the relative error of 2^f, |f| <= 1/2: 2.1e-8 with coefficients rounded to fp32.
/// Each step is taken for all kCount vectors before the next: one chain of steps alone would fill
/// the processor's schedulers with operations that wait for each other.
template <int kCount>
ATOLL_INLINE void exp2_all(Vec (&x)[kCount]) {
  constexpr float kRound = 12582912.0f + 127;
  constexpr float kCoefficients[] = {1.340664341e-3f, 9.617692791e-3f, 5.550310388e-2f,
                                     2.402265221e-1f, 6.931472421e-1f, 1.0f};
  const Vec low = all(-127.0f);
  Vec power[kCount];
  Vec p[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    x[i] = at_least(low, x[i]);
    power[i] = x[i] + kRound;
    x[i] -= power[i] - kRound;
    p[i] = all(1.559467782e-4f);
  }
#pragma GCC unroll 6
  for (const float coefficient : kCoefficients) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) p[i] = p[i] * x[i] + coefficient;
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    x[i] = p[i] * reinterpret_cast<Vec>(reinterpret_cast<IntVec>(power[i]) << 23);
  }
}

struct Sum {
  template <typename V>
  V operator()(V a, V b) const {
    return a + b;
  }
};
struct Largest {
  template <typename V>
  V operator()(V a, V b) const {
    return a > b ? a : b;
  }
};

/// Folds by halves down to one lane.
template <typename Combine>
ATOLL_INLINE float fold(Vec v, Combine combine) {
  constexpr Index kQuads = kLanes / 4;
  Quad quads[kQuads];
  __builtin_memcpy(quads, &v, sizeof v);
  for (Index width = kQuads / 2; width > 0; width /= 2) {
    for (Index i = 0; i < width; ++i) quads[i] = combine(quads[i], quads[i + width]);
  }
  const Quad q = quads[0];
  const Quad pair = combine(q, __builtin_shufflevector(q, q, 2, 3, 0, 1));
  return combine(pair, __builtin_shufflevector(pair, pair, 1, 0, 3, 2))[0];
}

template <int kValue>
struct Count {
  static constexpr int value = kValue;
};

/// Calls body(Count<4 or 2>, first) for the vectors of [0, end), whole blocks.
template <typename Body>
ATOLL_INLINE void over(Index end, Body body) {
  Index j = 0;
  for (; j + 4 * kLanes <= end; j += 4 * kLanes) body(Count<4>(), j);
  if (j < end) body(Count<2>(), j);
}

}  // namespace
}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
