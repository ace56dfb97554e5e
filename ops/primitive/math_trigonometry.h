#pragma once
// Sine and cosine; part of math.h. Both subtract the nearest multiple of pi / 2, in double also
// for floats, and evaluate a Taylor polynomial on [-pi / 4, pi / 4].

#include "ops/primitive/math.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// Up to here n = x * 2 / pi has 20 bits, and n times the first two parts of pi / 2 is exact.
inline constexpr double kReductionEnd = 1e6;

/// 64 bits of 2 / pi, beginning at bit `from` after 64 zeros.
ATOLL_PRIMITIVE std::uint64_t two_over_pi_bits(int from) {
  constexpr std::uint64_t kWords[] = {0,
                                      0xA2F9836E4E441529,
                                      0xFC2757D1F534DDC0,
                                      0xDB6295993C439041,
                                      0xFE5163ABDEBBC561,
                                      0xB7246E3A424DD2E0,
                                      0x06492EEA09D1921C,
                                      0xFE1DEB1CB129A73E,
                                      0xE88235F52EBB4484,
                                      0xE99C7026B45F7E41,
                                      0x3991D639835339F4,
                                      0x9C845F8BBDF9283B,
                                      0x1FF897FFDE05980F,
                                      0xEF2F118B5A0A6D1F,
                                      0x6D367ECF27CB09B7,
                                      0x4F463F669E5FEA2D,
                                      0x7527BAC7EBE5F17B,
                                      0x3D0739F78A5292EA,
                                      0x6BFB5FB11F8D5D08,
                                      0x56033046FC7B6BAB,
                                      0xF0CFBC209AF4361D};
  const int word = from / 64;
  const int shift = from % 64;
  if (shift == 0) return kWords[word];
  return kWords[word] << shift | kWords[word + 1] >> (64 - shift);
}

/// Payne and Hanek, "Radian reduction for trigonometric functions", 1983: x = m 2^e, and of 2 / pi
/// only those 192 bits are multiplied by m whose product is neither a whole number of turns nor too
/// small to matter. For finite |x| >= kReductionEnd; x becomes the rest, `quarters` the count.
ATOLL_PRIMITIVE_RARE void reduce_large(double& x, double& quarters) {
  using Wide = unsigned __int128;
  const std::uint64_t bits = bits_of(x);
  const int e = static_cast<int>(bits >> 52 & 0x7FF) - 1075;
  const std::uint64_t m = (bits & 0x000FFFFFFFFFFFFF) | 0x0010000000000000;
  const int from = e + 62;  // the bit of weight 2^(1 - e), so that the product is in 4ths of a turn
  const Wide low = Wide{m} * two_over_pi_bits(from + 128);
  const Wide middle = Wide{m} * two_over_pi_bits(from + 64) + static_cast<std::uint64_t>(low >> 64);
  const std::uint64_t high = m * two_over_pi_bits(from) + static_cast<std::uint64_t>(middle >> 64);
  const std::uint64_t count = (high + 0x2000000000000000) >> 62;
  const auto rest = static_cast<std::int64_t>(high - (count << 62));
  const double fraction = static_cast<double>(rest) * 0x1p-62 +
                          static_cast<double>(static_cast<std::uint64_t>(middle)) * 0x1p-126;
  const double sign = bits >> 63 != 0 ? -1 : 1;
  x = sign * (fraction * 1.5707963267948966);
  quarters = sign * static_cast<double>(count);
}

template <typename V>
ATOLL_PRIMITIVE void reduce_large_lanes(V x, V& rest, V& quarters) {
  const V a = abs(x);
  if (!any((a >= kReductionEnd) & (a < __builtin_inf()))) return;
  constexpr int kCount = sizeof(V) / sizeof(double);
  double in[kCount], rests[kCount], counts[kCount];
  __builtin_memcpy(in, &x, sizeof x);
  __builtin_memcpy(rests, &rest, sizeof x);
  __builtin_memcpy(counts, &quarters, sizeof x);
  for (int i = 0; i < kCount; ++i) {
    const double magnitude = abs(in[i]);
    if (!(magnitude >= kReductionEnd && magnitude < __builtin_inf())) continue;
    rests[i] = in[i];
    reduce_large(rests[i], counts[i]);
  }
  __builtin_memcpy(&rest, rests, sizeof x);
  __builtin_memcpy(&quarters, counts, sizeof x);
}

/// x = quarters pi / 2 + the result, which is within [-pi / 4, pi / 4]; `quarters` modulo 4.
template <typename V>
ATOLL_PRIMITIVE V reduce_quarters(V x, V& quarters) {
  if constexpr (sizeof(ElementOf<V>) == 4) {
    auto wide = convert<double>(x);
    const auto rest = reduce_quarters(convert<double>(x), wide);
    quarters = convert<float>(wide);
    return convert<float>(rest);
  } else {
    quarters = round_to_integer(x * 0.63661977236758134);
    const V first = x - quarters * 0x1.921fb544p+0;
    V rest = (first - quarters * 0x1.0b4611a6p-34) - quarters * 0x1.3198a2e037073p-69;
    reduce_large_lanes(x, rest, quarters);
    return rest;
  }
}

template <typename V>
ATOLL_PRIMITIVE V sine_near_zero(V r) {
  using T = ElementOf<V>;
  const V z = r * r;
  V p;
  if constexpr (sizeof(T) == 4) {
    p = polynomial(z, T(1 / 362880.0), T(-1 / 5040.0), T(1 / 120.0), T(-1 / 6.0));
  } else {
    p = polynomial(z, -1 / 1307674368000.0, 1 / 6227020800.0, -1 / 39916800.0, 1 / 362880.0,
                   -1 / 5040.0, 1 / 120.0, -1 / 6.0);
  }
  return r + r * z * p;
}
template <typename V>
ATOLL_PRIMITIVE V cosine_near_zero(V r) {
  using T = ElementOf<V>;
  const V z = r * r;
  V p;
  if constexpr (sizeof(T) == 4) {
    p = polynomial(z, T(-1 / 3628800.0), T(1 / 40320.0), T(-1 / 720.0), T(1 / 24.0));
  } else {
    p = polynomial(z, 1 / 20922789888000.0, -1 / 87178291200.0, 1 / 479001600.0, -1 / 3628800.0,
                   1 / 40320.0, -1 / 720.0, 1 / 24.0);
  }
  return (all<V>(T(1)) - z * T(0.5)) + z * z * p;
}

/// sin(x + ahead pi / 2).
template <typename V>
ATOLL_PRIMITIVE V sine_after(V x, ElementOf<V> ahead) {
  using F = Format<ElementOf<V>>;
  V quarters;
  const V rest = reduce_quarters(x, quarters);
  const auto count = bits_of(quarters + ahead + F::kRound);
  const V value = select((count & 1) == 1, cosine_near_zero(rest), sine_near_zero(rest));
  return from_bits<V>(bits_of(value) ^ ((count & 2) << (8 * int{sizeof(ElementOf<V>)} - 2)));
}

template <typename V>
ATOLL_PRIMITIVE V sin(V x) {
  return sine_after(x, ElementOf<V>(0));
}
template <typename V>
ATOLL_PRIMITIVE V cos(V x) {
  return sine_after(x, ElementOf<V>(1));
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
