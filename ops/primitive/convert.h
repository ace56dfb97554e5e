#pragma once
// Lanes of one element type as lanes of another, value by value as static_cast would.

#include "ops/primitive/lanes.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// The lower (kHalf = 0) or upper lanes of one register.
template <int kHalf, typename T, int kCount>
ATOLL_PRIMITIVE Lanes<T, kCount / 2> half_of(const Lanes<T, kCount, true>& a) {
  if constexpr (kCount == 2) {
    return {typename Lanes<T, 1>::Register{a.v[kHalf]}};
  } else if constexpr (kCount == 4) {
    return {__builtin_shufflevector(a.v, a.v, 2 * kHalf, 2 * kHalf + 1)};
  } else if constexpr (kCount == 8) {
    constexpr int i = 4 * kHalf;
    return {__builtin_shufflevector(a.v, a.v, i, i + 1, i + 2, i + 3)};
  } else {
    constexpr int i = 8 * kHalf;
    return {__builtin_shufflevector(a.v, a.v, i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7)};
  }
}

template <typename T, int kCount>
ATOLL_PRIMITIVE Lanes<T, 2 * kCount> joined(const Lanes<T, kCount, true>& a,
                                            const Lanes<T, kCount, true>& b) {
  if constexpr (kCount == 2) {
    return {__builtin_shufflevector(a.v, b.v, 0, 1, 2, 3)};
  } else if constexpr (kCount == 4) {
    return {__builtin_shufflevector(a.v, b.v, 0, 1, 2, 3, 4, 5, 6, 7)};
  } else {
    return {
        __builtin_shufflevector(a.v, b.v, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
  }
}

template <typename To, typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<To, kCount> convert(const Lanes<T, kCount, kOne>& a) {
  constexpr bool kToOne = kCount * sizeof(To) <= kRegisterBytes;
  if constexpr (kOne && kToOne) {
    return {__builtin_convertvector(a.v, typename Lanes<To, kCount>::Register)};
  } else if constexpr (kOne) {
    return {convert<To>(half_of<0>(a)), convert<To>(half_of<1>(a))};
  } else if constexpr (kToOne) {
    return joined(convert<To>(a.low), convert<To>(a.high));
  } else {
    return {convert<To>(a.low), convert<To>(a.high)};
  }
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
