#include "ops/tensor/dtype.h"

#include <array>
#include <bit>
#include <cmath>

namespace reef::ops {

namespace {

constexpr std::array<std::size_t, kDTypeCount> kSizes = {4, 2, 4, 1, 8, 2, 8, 1};
constexpr std::array<std::string_view, kDTypeCount> kNames = {"f32", "bf16", "i32", "u8",
                                                              "f64", "f16",  "i64", "bool"};

}  // namespace

std::size_t size_of(DType dtype) { return kSizes[static_cast<std::size_t>(dtype)]; }
std::string_view name_of(DType dtype) { return kNames[static_cast<std::size_t>(dtype)]; }

BF16 BF16::from(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded =
      std::isnan(value) ? (bits >> 16 | 0x40) : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return {static_cast<std::uint16_t>(rounded)};
}

float BF16::value() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

F16 F16::from(float value) {
  const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000);
  const auto with_sign = [sign](std::uint32_t rest) {
    return F16{static_cast<std::uint16_t>(sign | rest)};
  };
  if (std::isnan(value)) return with_sign(0x7E00);
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return with_sign(0x7C00);
  // Adding and taking away a power of two whose last place is that of the result lets the
  // processor round to nearest even, for denormals too.
  const int exponent = std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14);
  const float unit = std::ldexp(1.0f, exponent - 10);
  const float units = std::nearbyint(magnitude / unit);  // at most 2048
  const float rounded = units * unit;
  const int out = rounded == 0 ? -15 : std::ilogb(rounded);
  if (out < -14) return with_sign(static_cast<std::uint32_t>(std::ldexp(rounded, 24)));
  const auto fraction = static_cast<std::uint32_t>(std::ldexp(rounded, 10 - out)) & 0x3FF;
  return with_sign(static_cast<std::uint32_t>(out + 15) << 10 | fraction);
}

float F16::value() const {
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  if (exponent == 0x1F) return fraction != 0 ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

}  // namespace reef::ops
