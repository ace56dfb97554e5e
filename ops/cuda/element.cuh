#pragma once
// Elements in memory and the values computed on: bf16 and f16 as float, in the GPU's own
// conversions. And the way from a DType that is known at run time to a type.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>

#include "ops/cuda/launch.cuh"
#include "ops/tensor/tensor.h"

namespace reef::ops::cuda {

using primitive::BF16;
using primitive::Bool;
using primitive::F16;

/// What memory of M is computed in: double for double, else float.
template <typename M>
using Compute = primitive::ComputeOf<M>;

template <typename M>
__device__ inline Compute<M> value_of(M element) {
  return primitive::to_value(element);
}
__device__ inline float value_of(F16 element) {
  return __half2float(__ushort_as_half(element.bits));
}

/// Nearest, ties to even; NaN stays NaN.
template <typename M>
__device__ inline M rounded(Compute<M> value) {
  return value;
}
template <>
__device__ inline BF16 rounded<BF16>(float value) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
}
template <>
__device__ inline F16 rounded<F16>(float value) {
  return {__half_as_ushort(__float2half_rn(value))};
}

template <typename T>
struct TypeIs {
  using Type = T;
};

/// visit(TypeIs<M>{}) for a floating dtype.
template <typename Visit>
void visit_floating(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kF32:
      return visit(TypeIs<float>{});
    case DType::kBF16:
      return visit(TypeIs<BF16>{});
    case DType::kF16:
      return visit(TypeIs<F16>{});
    case DType::kF64:
      return visit(TypeIs<double>{});
    default:
      CHECK(false) << name_of(dtype) << " is not floating";
  }
}

/// visit(TypeIs<U>{}) for an unsigned integer as wide as the dtype's elements, for what only moves
/// them.
template <typename Visit>
void visit_width(DType dtype, Visit visit) {
  switch (size_of(dtype)) {
    case 1:
      return visit(TypeIs<std::uint8_t>{});
    case 2:
      return visit(TypeIs<std::uint16_t>{});
    case 4:
      return visit(TypeIs<std::uint32_t>{});
    default:
      return visit(TypeIs<std::uint64_t>{});
  }
}

/// The memory of a tensor as the kernels' type of its dtype.
template <typename M>
M* memory_of(const Tensor& tensor) {
  return reinterpret_cast<M*>(tensor.raw());
}

}  // namespace reef::ops::cuda
