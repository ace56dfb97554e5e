#include "ops/cuda/move.h"

#include <cmath>
#include <cstring>

#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/layout.h"
#include "ops/tensor/convert.h"

namespace reef::ops::cuda {

namespace {

using primitive::Strided;

// --- kernels ---

/// U is any type of the elements' width.
template <typename U>
__global__ void copy_kernel(const U* from, U* to, Strided layout, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    to[primitive::offset_of(layout, 1, i)] = from[primitive::offset_of(layout, 0, i)];
  }
}

template <typename U>
__global__ void fill_kernel(U* to, U value, Strided layout, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    to[primitive::offset_of(layout, 0, i)] = value;
  }
}

template <typename To, typename V>
__device__ To converted(V value) {
  if constexpr (std::is_same_v<To, Bool>) {
    return {static_cast<std::uint8_t>(value != 0)};
  } else if constexpr (std::is_same_v<V, double> && std::is_same_v<To, BF16>) {
    return {
        __bfloat16_as_ushort(__double2bfloat16(value))};  // by way of float it would round twice
  } else if constexpr (std::is_same_v<V, double> && std::is_same_v<To, F16>) {
    return {__half_as_ushort(__double2half(value))};
  } else if constexpr (std::is_same_v<To, BF16> || std::is_same_v<To, F16>) {
    return rounded<To>(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
__global__ void convert_kernel(const From* from, To* to, Strided layout, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    to[primitive::offset_of(layout, 1, i)] =
        converted<To>(value_of(from[primitive::offset_of(layout, 0, i)]));
  }
}

// --- launchers ---

template <typename Visit>
void visit_any(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kI32:
      return visit(TypeIs<std::int32_t>{});
    case DType::kI64:
      return visit(TypeIs<std::int64_t>{});
    case DType::kU8:
      return visit(TypeIs<std::uint8_t>{});
    case DType::kBool:
      return visit(TypeIs<Bool>{});
    default:
      return visit_floating(dtype, visit);
  }
}

}  // namespace

void copy_elements(cudaStream_t stream, const Tensor& from, const Tensor& to) {
  CHECK(from.dtype() == to.dtype() && from.shape() == to.shape());
  if (to.elements() == 0) return;
  if (from.is_contiguous() && to.is_contiguous()) {
    ATOLL_CUDA(
        cudaMemcpyAsync(to.raw(), from.raw(), to.size_bytes(), cudaMemcpyDeviceToDevice, stream));
    return;
  }
  const Strided layout = layout_of({&from, 1}, {&to, 1});
  visit_width(to.dtype(), [&](auto type) {
    using U = typename decltype(type)::Type;
    copy_kernel<<<blocks_for(to.elements()), kThreads, 0, stream>>>(
        memory_of<const U>(from), memory_of<U>(to), layout, to.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void convert_elements(cudaStream_t stream, const Tensor& from, const Tensor& to) {
  if (from.dtype() == to.dtype()) return copy_elements(stream, from, to);
  CHECK(from.shape() == to.shape());
  if (to.elements() == 0) return;
  const Strided layout = layout_of({&from, 1}, {&to, 1});
  visit_any(from.dtype(), [&](auto from_type) {
    visit_any(to.dtype(), [&](auto to_type) {
      using From = typename decltype(from_type)::Type;
      using To = typename decltype(to_type)::Type;
      convert_kernel<<<blocks_for(to.elements()), kThreads, 0, stream>>>(
          memory_of<const From>(from), memory_of<To>(to), layout, to.elements());
    });
  });
  ATOLL_CUDA(cudaGetLastError());
}

void fill_elements(cudaStream_t stream, const Tensor& to, double value) {
  if (to.elements() == 0) return;
  if (value == 0 && !std::signbit(value) && to.is_contiguous()) {
    ATOLL_CUDA(cudaMemsetAsync(to.raw(), 0, to.size_bytes(), stream));
    return;
  }
  const Strided layout = layout_of({}, {&to, 1});
  alignas(8) std::byte element[8] = {};
  set_element(to.dtype(), element, 0, value);
  visit_width(to.dtype(), [&](auto type) {
    using U = typename decltype(type)::Type;
    U bits;
    std::memcpy(&bits, element, sizeof bits);
    fill_kernel<<<blocks_for(to.elements()), kThreads, 0, stream>>>(memory_of<U>(to), bits, layout,
                                                                    to.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

Tensor row_major(const Call& call, const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor copy = Tensor::empty(call.context.pool(), tensor.dtype(), tensor.shape());
  copy_elements(stream_of(call), tensor, copy);
  return copy;
}

void fill(const Call& call) { fill_elements(stream_of(call), call.out[0], call.attributes.shift); }

void copy(const Call& call) { copy_elements(stream_of(call), call.in[0], call.out[0]); }

void cast(const Call& call) { convert_elements(stream_of(call), call.in[0], call.out[0]); }

void concat(const Call& call) {
  const std::size_t axis = call.attributes.axis;
  std::int64_t at = 0;
  for (const Tensor& part : call.in) {
    const std::int64_t extent = part.shape()[axis];
    copy_elements(stream_of(call), part, call.out[0].narrow(axis, at, extent));
    at += extent;
  }
}

void pad(const Call& call) {
  Tensor inside = call.out[0];
  for (std::size_t axis = 0; axis < inside.shape().rank(); ++axis) {
    inside = inside.narrow(axis, call.attributes.before[axis], call.in[0].shape()[axis]);
  }
  fill_elements(stream_of(call), call.out[0], call.attributes.shift);
  copy_elements(stream_of(call), call.in[0], inside);
}

}  // namespace reef::ops::cuda
