// Pooling. Gradients gather, each pixel from the windows that read it, in the order of their
// places.

#include "ops/cuda/block.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/error.h"
#include "ops/cuda/image.cuh"
#include "ops/cuda/kernels.h"
#include "ops/primitive/folds.h"

namespace reef::ops::cuda {

namespace {

struct Plane {
  Side height, width;
  Index channels;
};

/// An element of (N, C, rows, columns).
struct Pixel {
  Index image, channel;
  int row, column;
};
__device__ Pixel pixel_of(Index i, Index channels, int rows, int columns) {
  const Index plane = i / columns / rows;
  return {plane / channels, plane % channels, static_cast<int>(i / columns % rows),
          static_cast<int>(i % columns)};
}

// --- kernels ---

template <typename M>
__global__ void max_pool_kernel(Image<const M> x, Image<M> y, Image<std::int32_t> places, Plane p,
                                Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Pixel at = pixel_of(i, p.channels, p.height.places, p.width.places);
    M best{};
    int place = -1;
    for (int a = 0; a < p.height.size; ++a) {
      const int row = p.height.read(at.row, a);
      for (int b = 0; b < p.width.size; ++b) {
        const int column = p.width.read(at.column, b);
        if (!p.height.is_inside(row) || !p.width.is_inside(column)) continue;
        const M element = x.at(at.image, at.channel, row, column);
        const Compute<M> value = value_of(element);
        const Compute<M> most = value_of(best);
        if (place >= 0 && !primitive::exceeds(value, most)) continue;
        best = element;
        place = row * p.width.extent + column;
      }
    }
    y.at(at.image, at.channel, at.row, at.column) = best;
    places.at(at.image, at.channel, at.row, at.column) = place;
  }
}

/// A max pool's window gives everything to the pixel it took; an average's an equal share to each.
template <bool is_max, typename M>
__global__ void pool_grad_kernel(Image<const std::int32_t> places, Image<const M> grad,
                                 Image<M> x_grad, Plane p, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Pixel at = pixel_of(i, p.channels, p.height.extent, p.width.extent);
    Compute<M> sum = 0;
    // Higher taps read the same pixel from earlier places.
    for (int a = p.height.size; a-- > 0;) {
      const int row = p.height.place_of(at.row, a);
      for (int b = p.width.size; b-- > 0;) {
        const int column = p.width.place_of(at.column, b);
        if (row < 0 || column < 0) continue;
        const Compute<M> value = value_of(grad.at(at.image, at.channel, row, column));
        if constexpr (is_max) {
          const int place = places.at(at.image, at.channel, row, column);
          if (place == at.row * p.width.extent + at.column) sum += value;
        } else {
          sum += value / static_cast<Compute<M>>(p.height.taps(row) * p.width.taps(column));
        }
      }
    }
    x_grad.at(at.image, at.channel, at.row, at.column) = rounded<M>(sum);
  }
}

template <typename M>
__global__ void avg_pool_kernel(Image<const M> x, Image<M> y, Plane p, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Pixel at = pixel_of(i, p.channels, p.height.places, p.width.places);
    Compute<M> sum = 0;
    int taps = 0;
    for (int a = 0; a < p.height.size; ++a) {
      const int row = p.height.read(at.row, a);
      for (int b = 0; b < p.width.size; ++b) {
        const int column = p.width.read(at.column, b);
        if (!p.height.is_inside(row) || !p.width.is_inside(column)) continue;
        sum += value_of(x.at(at.image, at.channel, row, column));
        ++taps;
      }
    }
    y.at(at.image, at.channel, at.row, at.column) = rounded<M>(sum / static_cast<Compute<M>>(taps));
  }
}

// --- launchers ---

Plane plane_of(const Shape& x, const Shape& y, const Window& window) {
  return {side_of(window, 0, x[2], window.size[0], y[2]),
          side_of(window, 1, x[3], window.size[1], y[3]), x[1]};
}

}  // namespace

void max_pool2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& y = call.out[0];
  if (y.elements() == 0) return;
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    max_pool_kernel<<<blocks_for(y.elements()), kThreads, 0, stream_of(call)>>>(
        image_of<const M>(x), image_of<M>(y), image_of<std::int32_t>(call.out[1]),
        plane_of(x.shape(), y.shape(), call.attributes.window), y.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void max_pool2d_grad(const Call& call) {
  const Tensor& grad = call.in[1];
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  visit_floating(grad.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pool_grad_kernel<true, M><<<blocks_for(out.elements()), kThreads, 0, stream_of(call)>>>(
        image_of<const std::int32_t>(call.in[0]), image_of<const M>(grad), image_of<M>(out),
        plane_of(out.shape(), grad.shape(), call.attributes.window), out.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void avg_pool2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& y = call.out[0];
  if (y.elements() == 0) return;
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    avg_pool_kernel<<<blocks_for(y.elements()), kThreads, 0, stream_of(call)>>>(
        image_of<const M>(x), image_of<M>(y),
        plane_of(x.shape(), y.shape(), call.attributes.window), y.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void avg_pool2d_grad(const Call& call) {
  const Tensor& grad = call.in[0];
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  visit_floating(grad.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pool_grad_kernel<false, M><<<blocks_for(out.elements()), kThreads, 0, stream_of(call)>>>(
        Image<const std::int32_t>{}, image_of<const M>(grad), image_of<M>(out),
        plane_of(out.shape(), grad.shape(), call.attributes.window), out.elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace reef::ops::cuda
