#pragma once
// The reductions: every element is mapped, then combined with what came before. Sums of floats run
// in double and sums of integers in 64 bits on a CPU (Accumulator), so that long rows lose nothing.
// NaN wins every maximum and minimum.

#include "ops/primitive/functors.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

template <typename T>
struct Range;
template <>
struct Range<float> {
  static constexpr float kMost = __builtin_huge_valf(), kLeast = -__builtin_huge_valf();
};
template <>
struct Range<double> {
  static constexpr double kMost = __builtin_huge_val(), kLeast = -__builtin_huge_val();
};
template <>
struct Range<std::int32_t> {
  static constexpr std::int32_t kMost = 0x7FFFFFFF, kLeast = -kMost - 1;
};
template <>
struct Range<std::int64_t> {
  static constexpr std::int64_t kMost = 0x7FFFFFFFFFFFFFFF, kLeast = -kMost - 1;
};

template <typename T>
struct WideOf {
  using Type = T;
};
template <>
struct WideOf<float> {
  using Type = double;
};
template <>
struct WideOf<std::int32_t> {
  using Type = std::int64_t;
};

struct SumFold {
  using Rest = SumFold;  ///< what folds partial results
  template <typename T>
  using Accumulator = typename WideOf<T>::Type;
  template <typename T>
  static constexpr T kNeutral = 0;
  template <typename V>
  ATOLL_PRIMITIVE static V map(V x) {
    return x;
  }
  template <typename V>
  ATOLL_PRIMITIVE static V combine(V a, V b) {
    return a + b;
  }
};

struct SquareSumFold : SumFold {
  template <typename V>
  ATOLL_PRIMITIVE static V map(V x) {
    return x * x;
  }
};

struct MaximumFold {
  using Rest = MaximumFold;
  template <typename T>
  using Accumulator = T;
  template <typename T>
  static constexpr T kNeutral = Range<T>::kLeast;
  template <typename V>
  ATOLL_PRIMITIVE static V map(V x) {
    return x;
  }
  template <typename V>
  ATOLL_PRIMITIVE static V combine(V a, V b) {
    return Maximum{}(a, b);
  }
};

struct MinimumFold : MaximumFold {
  using Rest = MinimumFold;
  template <typename T>
  static constexpr T kNeutral = Range<T>::kMost;
  template <typename V>
  ATOLL_PRIMITIVE static V combine(V a, V b) {
    return Minimum{}(a, b);
  }
};

/// Whether `a` should replace `best` as the first of the largest.
template <typename T>
ATOLL_PRIMITIVE bool exceeds(T a, T best) {
  return a > best || (a != a && best == best);
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
