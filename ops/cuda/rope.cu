// Rotary positions.

#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

/// Where element (b, t, h, 0) of a tensor lies, and the step along D.
struct Places {
  Index batch, time, head, step;
};

Places places_of(const Tensor& tensor) {
  return {tensor.stride(0), tensor.stride(1), tensor.stride(2), tensor.stride(3)};
}

// --- kernels ---

/// Angles in double: in float, position 100,000 would be off by a hundredth of a turn.
template <typename V>
__global__ void turns_kernel(V* turns,  // (T, half, 2): cosine and sine
                             Index first, Index half, double base, bool reverse, Index count) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const double exponent = static_cast<double>(i % half) / static_cast<double>(half);
  const double angle = static_cast<double>(first + i / half) / ::pow(base, exponent);
  turns[2 * i] = static_cast<V>(::cos(angle));
  turns[2 * i + 1] = static_cast<V>(reverse ? -::sin(angle) : ::sin(angle));
}

template <typename M>
__global__ void rope_kernel(const M* x,               // (B, T, H, 2 half)
                            const Compute<M>* turns,  // (T, half, 2)
                            M* out,                   // as x
                            Places from, Places to, Index length, Index heads, Index half,
                            Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Index pair = i % half;
    const Index head = i / half % heads;
    const Index time = i / (half * heads) % length;
    const Index batch = i / (half * heads * length);
    const M* a = x + batch * from.batch + time * from.time + head * from.head + pair * from.step;
    M* b = out + batch * to.batch + time * to.time + head * to.head + pair * to.step;
    const Compute<M> cosine = turns[2 * (time * half + pair)];
    const Compute<M> sine = turns[2 * (time * half + pair) + 1];
    const Compute<M> lower = value_of(a[0]);
    const Compute<M> upper = value_of(a[half * from.step]);
    b[0] = rounded<M>(lower * cosine - upper * sine);
    b[half * to.step] = rounded<M>(upper * cosine + lower * sine);
  }
}

}  // namespace

// --- launcher ---

void rope(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  if (x.elements() == 0) return;
  const Shape& shape = x.shape();
  const Index half = shape[3] / 2;
  const Index turned = shape[1] * half;
  const cudaStream_t stream = stream_of(call);
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const Temporary<Compute<M>> turns(call.context, 2 * turned);
    turns_kernel<<<static_cast<unsigned>(ceil_div(turned, kThreads)), kThreads, 0, stream>>>(
        turns.data(), call.attributes.first, half, call.attributes.scale, call.attributes.reverse,
        turned);
    rope_kernel<<<blocks_for(x.elements() / 2), kThreads, 0, stream>>>(
        memory_of<const M>(x), turns.data(), memory_of<M>(out), places_of(x), places_of(out),
        shape[1], shape[2], half, x.elements() / 2);
  });
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace reef::ops::cuda
