#pragma once
// The element types of tensors. Numbers are on the wire and in checkpoints' headers: add, never
// renumber.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reef::ops {

enum class DType : std::uint8_t {
  kF32 = 0,
  kBF16 = 1,
  kI32 = 2,
  kU8 = 3,
  kF64 = 4,
  kF16 = 5,
  kI64 = 6,
  kBool = 7,  ///< one byte, 0 or 1
};
inline constexpr std::size_t kDTypeCount = 8;

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);
/// f64, f32, bf16, f16: what can have a gradient.
constexpr bool is_floating(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF64 ||
         dtype == DType::kF16;
}
/// i32 or i64: what can index.
constexpr bool is_index(DType dtype) { return dtype == DType::kI32 || dtype == DType::kI64; }

/// Brain float: the upper half of an fp32. Conversion rounds to nearest even; NaN stays NaN.
struct BF16 {
  std::uint16_t bits;
  static BF16 from(float value);
  float value() const;
  bool operator==(const BF16&) const = default;
};

/// IEEE 754 binary16. Conversion rounds to nearest even; NaN stays NaN, too large becomes infinity.
struct F16 {
  std::uint16_t bits;
  static F16 from(float value);
  float value() const;
  bool operator==(const F16&) const = default;
};

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BF16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<F16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::kBool;
};

}  // namespace reef::ops
