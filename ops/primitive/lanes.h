#pragma once
// The CPU's value type: 16 lanes of float, double or an integer, whatever the registers' width.
//
// A pair of halves, down to what one register holds. A single GCC vector of 64 bytes would be
// shorter, but on a processor without AVX-512 GCC takes its comparisons and selections apart into
// single lanes. Everything is element by element, so all instruction sets give the same bits.

#include <immintrin.h>  // gnu_inline functions only: they leave no symbol behind

#include "ops/primitive/target.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

inline constexpr int kLanes = 16;
#if defined(__AVX512F__)
inline constexpr int kRegisterBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kRegisterBytes = 32;
#else
inline constexpr int kRegisterBytes = 16;
#endif

template <typename T, int kCount = kLanes, bool kOne = kCount * sizeof(T) <= kRegisterBytes>
struct Lanes {
  using Element = T;
  Lanes<T, kCount / 2> low, high;
};
template <typename T, int kCount>
struct Lanes<T, kCount, true> {
  using Element = T;
  typedef T Register __attribute__((vector_size(kCount * sizeof(T))));
  Register v;
};
template <typename T>
using Vec = Lanes<T>;

template <int kBytes>
struct IntegerOf;
template <>
struct IntegerOf<4> {
  using Signed = std::int32_t;
  using Unsigned = std::uint32_t;
};
template <>
struct IntegerOf<8> {
  using Signed = std::int64_t;
  using Unsigned = std::uint64_t;
};
template <typename T>
struct Same {
  using Type = T;
};

/// f on each register of the operands; the result has elements of type R.
template <typename R, typename F, typename T, int kCount, bool kOne, typename... More>
ATOLL_PRIMITIVE Lanes<R, kCount> map(F f, const Lanes<T, kCount, kOne>& a, const More&... more) {
  if constexpr (kOne) {
    return {f(a.v, more.v...)};
  } else {
    return {map<R>(f, a.low, more.low...), map<R>(f, a.high, more.high...)};
  }
}

template <typename To, typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<To, kCount> as(const Lanes<T, kCount, kOne>& a) {
  return map<To>(
      [](auto v) __attribute__((always_inline)) {
        using Out = typename Lanes<To, sizeof v / sizeof(T)>::Register;
        return reinterpret_cast<Out>(v);
      },
      a);
}

template <typename V>
ATOLL_PRIMITIVE V broadcast(typename V::Element value) {
  if constexpr (requires(V v) { v.v; }) {
    return {value - typename V::Register{}};  // not +, which would lose the sign of -0
  } else {
    const auto half = broadcast<decltype(V::low)>(value);
    return {half, half};
  }
}

#define ATOLL_LANES_BINARY(op)                                                          \
  template <typename T, int kCount, bool kOne>                                          \
  ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator op(const Lanes<T, kCount, kOne>& a,   \
                                                     const Lanes<T, kCount, kOne>& b) { \
    return map<T>(                                                                      \
        [](auto x, auto y) __attribute__((always_inline)) { return x op y; }, a, b);    \
  }                                                                                     \
  template <typename T, int kCount, bool kOne>                                          \
  ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator op(const Lanes<T, kCount, kOne>& a,   \
                                                     typename Same<T>::Type b) {        \
    return a op broadcast<Lanes<T, kCount, kOne>>(b);                                   \
  }                                                                                     \
  template <typename T, int kCount, bool kOne>                                          \
  ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator op(typename Same<T>::Type a,          \
                                                     const Lanes<T, kCount, kOne>& b) { \
    return broadcast<Lanes<T, kCount, kOne>>(a) op b;                                   \
  }
ATOLL_LANES_BINARY(+)
ATOLL_LANES_BINARY(-)
ATOLL_LANES_BINARY(*)
ATOLL_LANES_BINARY(/)
ATOLL_LANES_BINARY(&)
ATOLL_LANES_BINARY(|)
ATOLL_LANES_BINARY(^)
#undef ATOLL_LANES_BINARY

/// A mask: all bits of a lane set where the comparison holds.
template <typename T, int kCount, bool kOne>
using MaskOf = Lanes<typename IntegerOf<sizeof(T)>::Signed, kCount, kOne>;

#define ATOLL_LANES_COMPARISON(op)                                                       \
  template <typename T, int kCount, bool kOne>                                           \
  ATOLL_PRIMITIVE MaskOf<T, kCount, kOne> operator op(const Lanes<T, kCount, kOne>& a,   \
                                                      const Lanes<T, kCount, kOne>& b) { \
    return map<typename IntegerOf<sizeof(T)>::Signed>(                                   \
        [](auto x, auto y) __attribute__((always_inline)) { return x op y; }, a, b);     \
  }                                                                                      \
  template <typename T, int kCount, bool kOne>                                           \
  ATOLL_PRIMITIVE MaskOf<T, kCount, kOne> operator op(const Lanes<T, kCount, kOne>& a,   \
                                                      typename Same<T>::Type b) {        \
    return a op broadcast<Lanes<T, kCount, kOne>>(b);                                    \
  }
ATOLL_LANES_COMPARISON(<)
ATOLL_LANES_COMPARISON(<=)
ATOLL_LANES_COMPARISON(>)
ATOLL_LANES_COMPARISON(>=)
ATOLL_LANES_COMPARISON(==)
ATOLL_LANES_COMPARISON(!=)
#undef ATOLL_LANES_COMPARISON

template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator-(const Lanes<T, kCount, kOne>& a) {
  return map<T>(
      [](auto x) __attribute__((always_inline)) { return -x; }, a);
}
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator<<(const Lanes<T, kCount, kOne>& a, int bits) {
  return map<T>(
      [bits](auto x) __attribute__((always_inline)) { return x << bits; }, a);
}
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> operator>>(const Lanes<T, kCount, kOne>& a, int bits) {
  return map<T>(
      [bits](auto x) __attribute__((always_inline)) { return x >> bits; }, a);
}
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne>& operator+=(Lanes<T, kCount, kOne>& a,
                                                   const Lanes<T, kCount, kOne>& b) {
  return a = a + b;
}

/// Lane by lane: mask ? a : b.
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> select(const MaskOf<T, kCount, kOne>& mask,
                                              const Lanes<T, kCount, kOne>& a,
                                              const Lanes<T, kCount, kOne>& b) {
  return map<T>(
      [](auto x, auto y, auto m) __attribute__((always_inline)) { return m ? x : y; }, a, b, mask);
}

// Of one register, where GCC does not find the instruction by itself. Each of greater() and
// lesser() gives its second operand when one of them is a NaN.
ATOLL_PRIMITIVE __m128 root(__m128 x) { return _mm_sqrt_ps(x); }
ATOLL_PRIMITIVE __m128d root(__m128d x) { return _mm_sqrt_pd(x); }
ATOLL_PRIMITIVE __m128 greater(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
ATOLL_PRIMITIVE __m128d greater(__m128d a, __m128d b) { return _mm_max_pd(a, b); }
ATOLL_PRIMITIVE __m128 lesser(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
ATOLL_PRIMITIVE __m128d lesser(__m128d a, __m128d b) { return _mm_min_pd(a, b); }
#ifdef __AVX2__
ATOLL_PRIMITIVE __m256 root(__m256 x) { return _mm256_sqrt_ps(x); }
ATOLL_PRIMITIVE __m256d root(__m256d x) { return _mm256_sqrt_pd(x); }
ATOLL_PRIMITIVE __m256 greater(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
ATOLL_PRIMITIVE __m256d greater(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
ATOLL_PRIMITIVE __m256 lesser(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
ATOLL_PRIMITIVE __m256d lesser(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
#endif
#ifdef __AVX512F__
ATOLL_PRIMITIVE __m512 root(__m512 x) { return _mm512_maskz_sqrt_ps(0xFFFF, x); }
ATOLL_PRIMITIVE __m512d root(__m512d x) { return _mm512_maskz_sqrt_pd(0xFF, x); }
ATOLL_PRIMITIVE __m512 greater(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xFFFF, a, b); }
ATOLL_PRIMITIVE __m512d greater(__m512d a, __m512d b) { return _mm512_maskz_max_pd(0xFF, a, b); }
ATOLL_PRIMITIVE __m512 lesser(__m512 a, __m512 b) { return _mm512_maskz_min_ps(0xFFFF, a, b); }
ATOLL_PRIMITIVE __m512d lesser(__m512d a, __m512d b) { return _mm512_maskz_min_pd(0xFF, a, b); }
#endif

template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> sqrt(const Lanes<T, kCount, kOne>& a) {
  return map<T>(
      [](auto x) __attribute__((always_inline)) { return root(x); }, a);
}

/// x, but no less than `low`; NaN stays.
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> at_least(typename Same<T>::Type low,
                                                const Lanes<T, kCount, kOne>& x) {
  return map<T>(
      [](auto a, auto b) __attribute__((always_inline)) { return greater(a, b); },
      broadcast<Lanes<T, kCount, kOne>>(low), x);
}
/// x, but no more than `high`; NaN stays.
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE Lanes<T, kCount, kOne> at_most(typename Same<T>::Type high,
                                               const Lanes<T, kCount, kOne>& x) {
  return map<T>(
      [](auto a, auto b) __attribute__((always_inline)) { return lesser(a, b); },
      broadcast<Lanes<T, kCount, kOne>>(high), x);
}

/// Whether the mask holds in any lane.
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE bool any(const Lanes<T, kCount, kOne>& mask) {
  if constexpr (!kOne) {
    return any(mask.low | mask.high);
  } else {
#ifdef __AVX512F__
    if constexpr (sizeof mask == 64)
      return _mm512_test_epi32_mask((__m512i)mask.v, (__m512i)mask.v);
#endif
#ifdef __AVX2__
    if constexpr (sizeof mask == 32) return _mm256_movemask_epi8((__m256i)mask.v) != 0;
#endif
    if constexpr (sizeof mask == 16) return _mm_movemask_epi8((__m128i)mask.v) != 0;
  }
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
