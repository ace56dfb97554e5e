#pragma once
// Elementary functions, written once over a value of float or double (vec.h), with no branch on a
// lane and no fused multiply-add, so that every instruction set gives the same bits.
//
// Errors in units in the last place, measured against a wider type over the whole range by
// tests/unit/ops/primitive_test.cc:
//
//            exp   log   tanh  erf  sigmoid  sin, cos
//   float     2     2     4     3      3        2
//   double    2     2     4     3      3        3
//
// Infinities, NaN, denormals and overflow are those of the C functions.

#include "ops/primitive/vec.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// How float and double are laid out, and the constants that depend on it.
template <typename T>
struct Format;
template <>
struct Format<float> {
  static constexpr int kMantissa = 23;
  static constexpr int kBias = 127;
  static constexpr std::uint32_t kMantissaMask = 0x007FFFFF, kSign = 0x80000000;
  static constexpr std::uint32_t kOne = 0x3F800000, kRootHalf = 0x3F3504F3;
  /// 1.5 2^23: adding it rounds to an integer, which then stands in the low bits.
  static constexpr float kRound = 12582912.0f, kTwoToMantissa = 8388608.0f;
  static constexpr float kSmallest = 1.17549435e-38f;
  /// ln(2) in two parts; n times the first is exact.
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  /// exp is 0 below and infinite above.
  static constexpr float kExpLow = -105.0f, kExpHigh = 89.5f;
  /// Beyond these tanh(x / 2) and erf(x) are 1.
  static constexpr float kTanhEnd = 20.0f, kErfEnd = 4.0f;
};
template <>
struct Format<double> {
  static constexpr int kMantissa = 52;
  static constexpr int kBias = 1023;
  static constexpr std::uint64_t kMantissaMask = 0x000FFFFFFFFFFFFF, kSign = 0x8000000000000000;
  static constexpr std::uint64_t kOne = 0x3FF0000000000000, kRootHalf = 0x3FE6A09E667F3BCD;
  static constexpr double kRound = 6755399441055744.0, kTwoToMantissa = 4503599627370496.0;
  static constexpr double kSmallest = 2.2250738585072014e-308;
  static constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kExpLow = -746.0, kExpHigh = 710.5;
  static constexpr double kTanhEnd = 44.0, kErfEnd = 6.0;
};

/// Horner's rule, the highest coefficient first.
template <typename V, typename... T>
ATOLL_PRIMITIVE V polynomial(V x, ElementOf<V> first, T... rest) {
  V sum = all<V>(first);
  ((sum = sum * x + static_cast<ElementOf<V>>(rest)), ...);
  return sum;
}

template <typename V>
ATOLL_PRIMITIVE V abs(V x) {
  using F = Format<ElementOf<V>>;
  return from_bits<V>(bits_of(x) & ~F::kSign);
}
/// |magnitude| with the sign of `sign`.
template <typename V>
ATOLL_PRIMITIVE V copy_sign(V magnitude, V sign) {
  using F = Format<ElementOf<V>>;
  return from_bits<V>((bits_of(magnitude) & ~F::kSign) | (bits_of(sign) & F::kSign));
}
/// To the nearest integer; |x| < 2^22 (float) or 2^51.
template <typename V>
ATOLL_PRIMITIVE V round_to_integer(V x) {
  using F = Format<ElementOf<V>>;
  return (x + F::kRound) - F::kRound;
}
/// 2^n for an integer n within the exponents of normal numbers.
template <typename V>
ATOLL_PRIMITIVE V power_of_two(V n) {
  using F = Format<ElementOf<V>>;
  return from_bits<V>((bits_of(n + F::kRound) << F::kMantissa) + F::kOne);
}

/// e^r - 1, where x = n ln(2) + r with |r| <= ln(2) / 2.
template <typename V>
ATOLL_PRIMITIVE V exp_parts(V x, V& n) {
  using T = ElementOf<V>;
  using F = Format<T>;
  n = round_to_integer(x * T(1.44269504088896341));
  V r = x - n * F::kLn2High;
  r = r - n * F::kLn2Low;
  if constexpr (sizeof(T) == 4) {
    // The polynomial of Cephes' expf by Estrin's scheme: half as long a chain as Horner's rule, and
    // the chain is what a processor waits for here.
    const V r2 = r * r;
    const V high = polynomial(r, 1.9875691500e-4f, 1.3981999507e-3f);
    const V middle = polynomial(r, 8.3334519073e-3f, 4.1665795894e-2f);
    const V low = polynomial(r, 1.6666665459e-1f, 5.0000001201e-1f);
    return ((high * r2 + middle) * r2 + low) * r2 + r;
  } else {
    const V p = polynomial(r, 1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                           1 / 362880.0, 1 / 40320.0, 1 / 5040.0, 1 / 720.0, 1 / 120.0, 1 / 24.0,
                           1 / 6.0, 0.5);
    return p * (r * r) + r;
  }
}

template <typename V>
ATOLL_PRIMITIVE V exp(V x) {
  using T = ElementOf<V>;
  using F = Format<T>;
  V n;
  const V minus_one = exp_parts(at_most(F::kExpHigh, at_least(F::kExpLow, x)), n);
  // In two steps, since 2^n alone may overflow or be denormal where the product is not.
  const V half = round_to_integer(n * T(0.5));
  return (minus_one + T(1)) * power_of_two(half) * power_of_two(n - half);
}

/// exp for softmax and gates, where large arguments do not occur: in float 0 below -87.7 and 2.4e38
/// above 88.3, in one step.
template <typename V>
ATOLL_PRIMITIVE V exp_bounded(V x) {
  using T = ElementOf<V>;
  if constexpr (sizeof(T) == 8) {
    return exp(x);
  } else {
    V n;
    // -88 is so low that n is -127, whose power of two is made as 0.
    const V minus_one = exp_parts(at_most(88.37626f, at_least(-88.0f, x)), n);
    return (minus_one + T(1)) * power_of_two(n);
  }
}

/// x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); s = f / (2 + f);
/// log(1 + f) = 2 atanh(s) = f - s (f - 2 s^2 (1/3 + s^2 / 5 + ..)), where f is exact.
template <typename V>
ATOLL_PRIMITIVE V log(V x) {
  using T = ElementOf<V>;
  using F = Format<T>;
  const auto denormal = x < F::kSmallest;
  const V y = select(denormal, x * F::kTwoToMantissa, x);
  const auto shifted = bits_of(y) + (F::kOne - F::kRootHalf);
  const V biased =
      from_bits<V>((shifted >> F::kMantissa) | bits_of(F::kTwoToMantissa)) - F::kTwoToMantissa;
  const V e = biased - select(denormal, all<V>(T(F::kBias + F::kMantissa)), all<V>(T(F::kBias)));
  const V f = from_bits<V>((shifted & F::kMantissaMask) + F::kRootHalf) - T(1);
  const V s = f / (f + T(2));
  const V z = s * s;
  V series;
  if constexpr (sizeof(T) == 4) {
    series = polynomial(z, T(2 / 11.0), T(2 / 9.0), T(2 / 7.0), T(2 / 5.0), T(2 / 3.0));
  } else {
    series = polynomial(z, 2 / 21.0, 2 / 19.0, 2 / 17.0, 2 / 15.0, 2 / 13.0, 2 / 11.0, 2 / 9.0,
                        2 / 7.0, 2 / 5.0, 2 / 3.0);
  }
  const V result = e * F::kLn2High + (f - (s * (f - z * series) - e * F::kLn2Low));
  const T infinity = static_cast<T>(__builtin_inf());
  V out = select(x < infinity, result, x);  // infinity and NaN stay
  out = select(x == T(0), all<V>(-infinity), out);
  return select(x < T(0), all<V>(static_cast<T>(__builtin_nan(""))), out);
}

/// With m = e^(2|x|) - 1: m / (m + 2), which loses nothing for small x.
template <typename V>
ATOLL_PRIMITIVE V tanh(V x) {
  using T = ElementOf<V>;
  using F = Format<T>;
  V n;
  const V minus_one = exp_parts(at_most(F::kTanhEnd, abs(x) * T(2)), n);
  const V power = power_of_two(n);
  const V m = power * minus_one + (power - T(1));
  return copy_sign(m / (m + T(2)), x);
}

template <typename V>
ATOLL_PRIMITIVE V sigmoid(V x) {
  using T = ElementOf<V>;
  const V e = exp(-abs(x));
  return select(x < T(0), e, all<V>(T(1))) / (e + T(1));
}

template <typename V>
ATOLL_PRIMITIVE V rsqrt(V x) {
  return all<V>(ElementOf<V>(1)) / sqrt(x);
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive

#include "ops/primitive/math_erf.h"
#include "ops/primitive/math_trigonometry.h"
