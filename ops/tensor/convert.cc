#include "ops/tensor/convert.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

/// Calls body with a value of the C++ type behind `dtype`.
template <typename Body>
auto with_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kF32:
      return body(float{});
    case DType::kBF16:
      return body(BF16{});
    case DType::kI32:
      return body(std::int32_t{});
    case DType::kU8:
      return body(std::uint8_t{});
    case DType::kF64:
      return body(double{});
    case DType::kF16:
      return body(F16{});
    case DType::kI64:
      return body(std::int64_t{});
    case DType::kBool:
      return body(bool{});
  }
  CHECK(false) << "dtype " << static_cast<int>(dtype);
  return body(float{});
}

template <typename T>
constexpr bool kIsHalf = std::is_same_v<T, BF16> || std::is_same_v<T, F16>;

/// The nearest float, but the neighbour with an odd last bit when that is not exact: rounding it
/// again to fewer bits then gives what rounding once would have (Boldo and Melquiond 2008,
/// "Emulation of FMA and correctly rounded sums").
float rounded_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (std::isnan(value) || nearest == value) return nearest;
  const bool away = std::abs(static_cast<double>(nearest)) > std::abs(value);
  const float towards_zero = away ? std::nextafter(nearest, 0.0f) : nearest;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(towards_zero) | 1u);
}

template <typename To, typename From>
To converted(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (kIsHalf<From>) {
    return converted<To>(value.value());
  } else if constexpr (kIsHalf<To> && std::is_same_v<From, double>) {
    return To::from(rounded_to_odd(value));
  } else if constexpr (kIsHalf<To>) {
    return To::from(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

void convert(DType from_dtype, const std::byte* from, std::ptrdiff_t from_step, DType to_dtype,
             std::byte* to, std::ptrdiff_t to_step, std::ptrdiff_t count) {
  with_type(from_dtype, [&](auto from_zero) {
    with_type(to_dtype, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      const auto* source = reinterpret_cast<const From*>(from);
      auto* target = reinterpret_cast<To*>(to);
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        target[i * to_step] = converted<To>(source[i * from_step]);
      }
    });
  });
}

double element_as_double(DType dtype, const std::byte* data, std::ptrdiff_t i) {
  return with_type(dtype, [&](auto zero) {
    return converted<double>(reinterpret_cast<const decltype(zero)*>(data)[i]);
  });
}

void set_element(DType dtype, std::byte* data, std::ptrdiff_t i, double value) {
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    reinterpret_cast<T*>(data)[i] = converted<T>(value);
  });
}

}  // namespace reef::ops
