#pragma once
// Tensors as the raw-pointer kernels of cpu/isa see them.

#include "ops/primitive/strided.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::cpu {

constexpr primitive::Element element_of(DType dtype) {
  return static_cast<primitive::Element>(dtype);
}
static_assert(element_of(DType::kF32) == primitive::Element::kF32);
static_assert(element_of(DType::kBF16) == primitive::Element::kBF16);
static_assert(element_of(DType::kI32) == primitive::Element::kI32);
static_assert(element_of(DType::kU8) == primitive::Element::kU8);
static_assert(element_of(DType::kF64) == primitive::Element::kF64);
static_assert(element_of(DType::kF16) == primitive::Element::kF16);
static_assert(element_of(DType::kI64) == primitive::Element::kI64);
static_assert(element_of(DType::kBool) == primitive::Element::kBool);
static_assert(int{primitive::kMaxRank} == int{Shape::kMaxRank});

/// The walk over `out`, to which `in` are broadcast: axes aligned at the end, an extent of 1
/// repeated.
primitive::Strided layout_of(std::span<const Tensor> in, std::span<const Tensor> out);

/// A row-major tensor seen as (outer, n, inner) around one axis.
struct AxisView {
  std::int64_t outer = 1;
  std::int64_t n = 1;
  std::int64_t inner = 1;
};
AxisView around_axis(const Shape& shape, std::size_t axis);

}  // namespace reef::ops::cpu
