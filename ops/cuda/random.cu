// Random tensors: every element draws for itself.

#include "ops/cuda/random.cuh"

#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

// --- kernels; axis 0 counts samples of `row` elements ---

template <typename M>
__global__ void dropout_kernel(const M* x, M* out, Factors factors, Index row, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    out[i] = rounded<M>(value_of(x[i]) * factors.at(i / row, i % row));
  }
}

/// A 16-bit float keeps the upper bits only: rounding could give 1.
template <typename M>
__device__ float exact(float uniform) {
  if constexpr (std::is_same_v<M, BF16>) return floorf(uniform * 0x1p8f) * 0x1p-8f;
  if constexpr (std::is_same_v<M, F16>) return floorf(uniform * 0x1p11f) * 0x1p-11f;
  return uniform;
}

template <bool normal, typename M>
__global__ void draw_kernel(M* out, Stream stream, std::uint64_t first_sample, Index row,
                            Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const std::uint64_t sample = first_sample + static_cast<std::uint64_t>(i / row);
    const auto element = static_cast<std::uint64_t>(i % row);
    const float value =
        normal ? stream.normal(sample, element) : exact<M>(stream.uniform(sample, element));
    out[i] = rounded<M>(static_cast<Compute<M>>(value));
  }
}

// --- launchers ---

Index row_of(const Shape& shape) {
  return shape.rank() == 0 ? 1 : shape.elements() / shape.front();
}

template <bool is_normal>
void draw(const Call& call, const Random& random) {
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  visit_floating(out.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    draw_kernel<is_normal><<<blocks_for(out.elements()), kThreads, 0, stream_of(call)>>>(
        memory_of<M>(out), Stream(random), call.attributes.draw.first_sample, row_of(out.shape()),
        out.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

void dropout(const Call& call) {
  const Tensor& x = call.in[0];
  if (x.elements() == 0) return;
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    dropout_kernel<<<blocks_for(x.elements()), kThreads, 0, stream_of(call)>>>(
        memory_of<const M>(x), memory_of<M>(call.out[0]), Factors(call.attributes.draw),
        row_of(x.shape()), x.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void uniform(const Call& call) { draw<false>(call, uniform_stream(call.attributes.draw)); }
void normal(const Call& call) { draw<true>(call, normal_stream(call.attributes.draw)); }

}  // namespace reef::ops::cuda
