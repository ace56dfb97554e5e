#pragma once
// The error function; part of math.h.

#include "ops/primitive/math.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// erf(x) / x for z = x^2 <= 1: the Taylor series 2 / sqrt(pi) sum of (-z)^n / (n! (2n + 1)).
template <typename V>
ATOLL_PRIMITIVE V erf_series(V z) {
  using T = ElementOf<V>;
  V sum;
  if constexpr (sizeof(T) == 4) {
    sum = polynomial(z, T(1 / 76204800.0), T(-1 / 6894720.0), T(1 / 685440.0), T(-1 / 75600.0),
                     T(1 / 9360.0), T(-1 / 1320.0), T(1 / 216.0), T(-1 / 42.0), T(1 / 10.0),
                     T(-1 / 3.0), T(1));
  } else {
    sum = polynomial(z, 1 / 236887827111936000.0, -1 / 12449059983360000.0, 1 / 690452066304000.0,
                     -1 / 40537905408000.0, 1 / 2528170444800.0, -1 / 168129561600.0,
                     1 / 11975040000.0, -1 / 918086400.0, 1 / 76204800.0, -1 / 6894720.0,
                     1 / 685440.0, -1 / 75600.0, 1 / 9360.0, -1 / 1320.0, 1 / 216.0, -1 / 42.0,
                     1 / 10.0, -1 / 3.0, 1.0);
  }
  return sum * T(1.1283791670955126);
}

/// e^(a^2) erfc(a) for 1 <= a: a minimax polynomial in t = (a - 3) / (a + 3), good to 1e-8 (float,
/// a <= 4) and 1e-17 (a <= 6).
template <typename V>
ATOLL_PRIMITIVE V erfc_scaled(V a) {
  using T = ElementOf<V>;
  const V t = (a - T(3)) / (a + T(3));
  if constexpr (sizeof(T) == 4) {
    return polynomial(t, 0.002742749071f, -0.02507963778f, 0.07160350391f, -0.150098343f,
                      0.2456059922f, -0.3262336742f, 0.1790011445f);
  } else {
    return polynomial(t, 1.28019008629626619e-6, 2.02360317964175664e-6, -8.00802131941268433e-6,
                      -1.28488945125235288e-5, 6.40618207353054674e-5, 4.52547263547235414e-5,
                      -5.97062351709328428e-4, 7.07746444390153731e-4, 4.26913634750825636e-3,
                      -2.43924993182731931e-2, 7.16658371977487434e-2, -1.50115936500787439e-1,
                      2.45603801712331945e-1, -3.26233560043037175e-1, 1.79001151181389950e-1);
  }
}

template <typename V>
ATOLL_PRIMITIVE V erf(V x) {
  using T = ElementOf<V>;
  V a = abs(x);
  const V near = x * erf_series(x * x);
  a = select(a > Format<T>::kErfEnd, all<V>(Format<T>::kErfEnd), a);
  const V far = all<V>(T(1)) - exp_bounded(-(a * a)) * erfc_scaled(a);
  return select(a < T(1), near, copy_sign(far, x));
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
