#pragma once
// The value that primitives compute on: `Vec<T>` on a CPU, the plain scalar T on CUDA (and in
// tests). What is written over a value V uses V's operators, T(constant) for numbers, and the
// functions here, which exist for both.

#include "ops/primitive/target.h"
#ifdef __CUDACC__
#include <math.h>
#else
#include "ops/primitive/convert.h"
#endif

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

template <typename V>
struct ValueTraits {
  using Element = typename V::Element;
};
#define ATOLL_SCALAR_VALUE(type, signed_type, unsigned_type) \
  template <>                                                \
  struct ValueTraits<type> {                                 \
    using Element = type;                                    \
    using Signed = signed_type;                              \
    using Unsigned = unsigned_type;                          \
  };
ATOLL_SCALAR_VALUE(float, std::int32_t, std::uint32_t)
ATOLL_SCALAR_VALUE(double, std::int64_t, std::uint64_t)
ATOLL_SCALAR_VALUE(std::int32_t, std::int32_t, std::uint32_t)
ATOLL_SCALAR_VALUE(std::int64_t, std::int64_t, std::uint64_t)
ATOLL_SCALAR_VALUE(std::uint32_t, std::int32_t, std::uint32_t)
ATOLL_SCALAR_VALUE(std::uint64_t, std::int64_t, std::uint64_t)
#undef ATOLL_SCALAR_VALUE

template <typename V>
using ElementOf = typename ValueTraits<V>::Element;

template <typename T>
inline constexpr bool kIsScalar = requires {
  typename ValueTraits<T>::Signed;
};

/// The same number in every lane.
template <typename V>
ATOLL_PRIMITIVE V all(ElementOf<V> value) {
  if constexpr (kIsScalar<V>) {
    return value;
  } else {
    return broadcast<V>(value);
  }
}

/// The bits of a value as unsigned integers of the same width, and back.
template <typename V>
ATOLL_PRIMITIVE auto bits_of(V value) {
  using Unsigned = typename ValueTraits<ElementOf<V>>::Unsigned;
  if constexpr (kIsScalar<V>) {
    return __builtin_bit_cast(Unsigned, value);
  } else {
    return as<Unsigned>(value);
  }
}
template <typename V, typename Bits>
ATOLL_PRIMITIVE V from_bits(Bits bits) {
  if constexpr (kIsScalar<V>) {
    return __builtin_bit_cast(V, bits);
  } else {
    return as<ElementOf<V>>(bits);
  }
}

ATOLL_PRIMITIVE float at_least(float low, float x) { return low > x ? low : x; }
ATOLL_PRIMITIVE double at_least(double low, double x) { return low > x ? low : x; }
ATOLL_PRIMITIVE float at_most(float high, float x) { return high < x ? high : x; }
ATOLL_PRIMITIVE double at_most(double high, double x) { return high < x ? high : x; }
ATOLL_PRIMITIVE float select(bool mask, float a, float b) { return mask ? a : b; }
ATOLL_PRIMITIVE double select(bool mask, double a, double b) { return mask ? a : b; }
ATOLL_PRIMITIVE std::int32_t select(bool mask, std::int32_t a, std::int32_t b) {
  return mask ? a : b;
}
ATOLL_PRIMITIVE std::int64_t select(bool mask, std::int64_t a, std::int64_t b) {
  return mask ? a : b;
}
ATOLL_PRIMITIVE bool any(bool mask) { return mask; }

#ifdef __CUDACC__
ATOLL_PRIMITIVE float sqrt(float x) { return ::sqrtf(x); }
ATOLL_PRIMITIVE double sqrt(double x) { return ::sqrt(x); }
#else
ATOLL_PRIMITIVE float sqrt(float x) { return __builtin_sqrtf(x); }
ATOLL_PRIMITIVE double sqrt(double x) { return __builtin_sqrt(x); }
#endif

template <typename To, typename T>
requires kIsScalar<T> ATOLL_PRIMITIVE To convert(T value) { return static_cast<To>(value); }

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
