#pragma once
// Between memory of any element type and the values that are computed on. 16-bit floats are
// computed on as float; rounding is to nearest, ties to even; a NaN stays one and turns quiet.

#include "ops/primitive/math.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// The element type that memory of M is computed in.
template <typename M>
struct ComputeFor {
  using Type = M;
};
template <>
struct ComputeFor<BF16> {
  using Type = float;
};
template <>
struct ComputeFor<F16> {
  using Type = float;
};
template <>
struct ComputeFor<std::uint8_t> {
  using Type = std::int32_t;
};
template <>
struct ComputeFor<Bool> {
  using Type = std::int32_t;
};
template <typename M>
using ComputeOf = typename ComputeFor<M>::Type;

// Bits of 16-bit floats in 32-bit integers U, a scalar or lanes.

template <typename V, typename U>
ATOLL_PRIMITIVE V value_of_bf16(U bits) {
  return from_bits<V>(bits << 16);
}
template <typename V>
ATOLL_PRIMITIVE auto bf16_bits(V x) {
  const auto bits = bits_of(x);
  const auto rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const auto quiet = (bits >> 16) | 0x40;
  return bits_of(select(x != x, from_bits<V>(quiet), from_bits<V>(rounded)));
}

/// The exponent and fraction, moved to where a float has them, are the value times 2^-112; that
/// also holds for denormals.
template <typename V, typename U>
ATOLL_PRIMITIVE V value_of_f16(U bits) {
  const U magnitude = (bits & 0x7FFF) << 13;
  const V finite = from_bits<V>(magnitude) * 0x1p112f;
  const U special = magnitude | 0x7F800000;
  const V infinite = from_bits<V>(special);
  const V quiet = from_bits<V>(special | 0x400000);
  const V value = select(finite >= 65536.0f, select(infinite != infinite, quiet, infinite), finite);
  return copy_sign(value, from_bits<V>((bits & 0x8000) << 16));
}
template <typename V>
ATOLL_PRIMITIVE auto f16_bits(V x) {
  const auto bits = bits_of(x);
  const auto magnitude = bits & 0x7FFFFFFF;
  const V a = from_bits<V>(magnitude);
  // 0.5 has the denormals' unit as its last place, so adding it rounds to that unit.
  const auto denormal = bits_of(a + 0.5f) - 0x3F000000;
  const auto normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  V half = select(a < 0x1p-14f, from_bits<V>(denormal), from_bits<V>(normal));
  half = select(a < 65536.0f, half, from_bits<V>((magnitude & 0) + 0x7C00));
  half = select(x != x, from_bits<V>(((magnitude >> 13) & 0x3FF) | 0x7E00), half);
  return bits_of(half) | ((bits >> 16) & 0x8000);
}

ATOLL_PRIMITIVE float to_value(float x) { return x; }
ATOLL_PRIMITIVE double to_value(double x) { return x; }
ATOLL_PRIMITIVE std::int32_t to_value(std::int32_t x) { return x; }
ATOLL_PRIMITIVE std::int64_t to_value(std::int64_t x) { return x; }
ATOLL_PRIMITIVE std::int32_t to_value(std::uint8_t x) { return x; }
ATOLL_PRIMITIVE std::int32_t to_value(Bool x) { return x.value != 0; }
ATOLL_PRIMITIVE float to_value(BF16 x) { return value_of_bf16<float>(std::uint32_t{x.bits}); }
ATOLL_PRIMITIVE float to_value(F16 x) { return value_of_f16<float>(std::uint32_t{x.bits}); }

template <typename T, typename U>
inline constexpr bool kSame = false;
template <typename T>
inline constexpr bool kSame<T, T> = true;
template <typename T>
inline constexpr bool kIsFloat = static_cast<T>(0.5) != 0;

/// static_cast, but for floats to integers saturating, NaN to 0; C leaves those cases undefined.
template <typename To, typename T>
ATOLL_PRIMITIVE To number(T value) {
  if constexpr (kIsFloat<T> && !kIsFloat<To>) {
    constexpr To kMost = sizeof(To) == 4 ? To(0x7FFFFFFF) : To(0x7FFFFFFFFFFFFFFF);
    constexpr T kEnd = sizeof(To) == 4 ? T(2147483648.0) : T(9223372036854775808.0);
    if (value != value) return 0;
    if (value >= kEnd) return kMost;
    if (value < -kEnd) return -kMost - 1;
  }
  return static_cast<To>(value);
}

/// A number of any type as an element of M.
template <typename M, typename T>
ATOLL_PRIMITIVE M from_value(T value) {
  if constexpr (kSame<M, Bool>) {
    return {value != T(0)};
  } else if constexpr (kSame<M, BF16>) {
    return {static_cast<std::uint16_t>(bf16_bits(number<float>(value)))};
  } else if constexpr (kSame<M, F16>) {
    return {static_cast<std::uint16_t>(f16_bits(number<float>(value)))};
  } else {
    return static_cast<M>(number<ComputeOf<M>>(value));
  }
}

#ifndef __CUDACC__

// Register by register: GCC would copy a pair of registers as a block of memory.
template <typename V>
ATOLL_PRIMITIVE V load(const typename V::Element* from) {
  if constexpr (requires(V v) { v.v; }) {
    typename V::Register value;
    __builtin_memcpy(&value, from, sizeof value);
    return {value};
  } else {
    using Half = decltype(V::low);
    return {load<Half>(from), load<Half>(from + sizeof(Half) / sizeof *from)};
  }
}
template <typename T, int kCount, bool kOne>
ATOLL_PRIMITIVE void store(T* to, const Lanes<T, kCount, kOne>& value) {
  if constexpr (kOne) {
    __builtin_memcpy(to, &value.v, sizeof value.v);
  } else {
    store(to, value.low);
    store(to + kCount / 2, value.high);
  }
}

/// 16-bit patterns, widened; V has 32-bit unsigned elements.
template <typename V>
ATOLL_PRIMITIVE V load_halves(const std::uint16_t* from) {
  if constexpr (requires(V v) { v.v; }) {
    constexpr int kCount = sizeof(V) / 4;
    typedef std::uint16_t Halves __attribute__((vector_size(kCount * 2)));
    Halves halves;
    __builtin_memcpy(&halves, from, sizeof halves);
    return {__builtin_convertvector(halves, typename V::Register)};
  } else {
    using Half = decltype(V::low);
    return {load_halves<Half>(from), load_halves<Half>(from + sizeof(Half) / 4)};
  }
}
template <int kCount, bool kOne>
ATOLL_PRIMITIVE void store_halves(std::uint16_t* to,
                                  const Lanes<std::uint32_t, kCount, kOne>& value) {
  if constexpr (kOne) {
    typedef std::uint16_t Halves __attribute__((vector_size(kCount * 2)));
    const Halves halves = __builtin_convertvector(value.v, Halves);
    __builtin_memcpy(to, &halves, sizeof halves);
  } else {
    store_halves(to, value.low);
    store_halves(to + kCount / 2, value.high);
  }
}

ATOLL_PRIMITIVE Vec<float> load_value(const BF16* from) {
  return value_of_bf16<Vec<float>>(
      load_halves<Vec<std::uint32_t>>(reinterpret_cast<const std::uint16_t*>(from)));
}
ATOLL_PRIMITIVE void store_value(BF16* to, const Vec<float>& value) {
  store_halves(reinterpret_cast<std::uint16_t*>(to), bf16_bits(value));
}

#ifdef __F16C__
ATOLL_PRIMITIVE Vec<float> load_value(const F16* from) {
  float values[kLanes];
  const auto* at = reinterpret_cast<const __m128i*>(from);
  _mm256_storeu_ps(values, _mm256_cvtph_ps(_mm_loadu_si128(at)));
  _mm256_storeu_ps(values + 8, _mm256_cvtph_ps(_mm_loadu_si128(at + 1)));
  return load<Vec<float>>(values);
}
ATOLL_PRIMITIVE void store_value(F16* to, const Vec<float>& value) {
  float values[kLanes];
  store(values, value);
  auto* at = reinterpret_cast<__m128i*>(to);
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT;
  _mm_storeu_si128(at, _mm256_cvtps_ph(_mm256_loadu_ps(values), kNearest));
  _mm_storeu_si128(at + 1, _mm256_cvtps_ph(_mm256_loadu_ps(values + 8), kNearest));
}
#else
ATOLL_PRIMITIVE Vec<float> load_value(const F16* from) {
  return value_of_f16<Vec<float>>(
      load_halves<Vec<std::uint32_t>>(reinterpret_cast<const std::uint16_t*>(from)));
}
ATOLL_PRIMITIVE void store_value(F16* to, const Vec<float>& value) {
  store_halves(reinterpret_cast<std::uint16_t*>(to), f16_bits(value));
}
#endif

template <typename T>
ATOLL_PRIMITIVE Vec<T> load_value(const T* from) {
  return load<Vec<T>>(from);
}
template <typename T>
ATOLL_PRIMITIVE void store_value(T* to, const Vec<T>& value) {
  store(to, value);
}

/// The first `count` lanes from memory, the others `rest`.
template <typename M>
ATOLL_PRIMITIVE Vec<ComputeOf<M>> load_part(const M* from, Index count, M rest) {
  M lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = rest;
  for (Index i = 0; i < count; ++i) lanes[i] = from[i];
  return load_value(lanes);
}
template <typename M>
ATOLL_PRIMITIVE void store_part(M* to, Index count, const Vec<ComputeOf<M>>& value) {
  M lanes[kLanes];
  store_value(lanes, value);
  for (Index i = 0; i < count; ++i) to[i] = lanes[i];
}

/// A mask of the first `count` lanes.
template <typename T>
ATOLL_PRIMITIVE auto first_lanes(Index count) {
  T numbers[kLanes];
  for (int i = 0; i < kLanes; ++i) numbers[i] = static_cast<T>(i);
  return load<Vec<T>>(numbers) < static_cast<T>(count);
}

/// Folds the lanes by halves, the one order in which they are ever folded.
template <typename T, typename Combine>
ATOLL_PRIMITIVE T fold(const Vec<T>& value, Combine combine) {
  T lanes[kLanes];
  store(lanes, value);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] = combine(lanes[i], lanes[i + width]);
  }
  return lanes[0];
}

/// Calls full(i) for each whole vector and part(i, left) for what remains.
template <typename Full, typename Part>
ATOLL_PRIMITIVE void over(Index count, Full full, Part part) {
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) full(i);
  if (i < count) part(i, count - i);
}

#endif

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
