// Convolution and its gradients as products whose matrices are never written: each is a sum over
// `inner` of a(row, k) b(k, column), read straight from the images in any layout.

#include <algorithm>

#include "ops/cuda/columns.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/error.h"
#include "ops/cuda/image.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"

namespace reef::ops::cuda {

namespace {

constexpr int kTile = 64;      ///< rows and columns of a block's part of the result
constexpr int kDepth = 16;     ///< of `inner` in shared memory at once
constexpr int kPerThread = 4;  ///< rows and columns of a thread's part
constexpr int kSide = kTile / kPerThread;
constexpr int kBlock = kSide * kSide;
/// The sum over images and places of a weight's gradient is cut into pieces of this length, so that
/// there are blocks enough; the pieces are added in order.
constexpr int kPiece = 8192;

/// The extents of one convolution; channels and outputs are those of one group.
struct Geometry {
  int images, channels, outputs, groups;
  Side height, width;
};

/// An index into (images, places of the result), or (images, pixels), or (channels, taps).
struct Triple {
  int outer, row, column;
};
__device__ Triple triple(int index, int rows, int columns) {
  const int plane = rows * columns;
  return {index / plane, index % plane / columns, index % columns};
}

/// y = x weight + bias.
template <typename M>
struct Forward {
  Geometry g;
  Image<const M> x, weight;
  const M* bias;  // (outputs of all groups) or null
  Image<M> y;

  __device__ Compute<M> a(int group, int row, int k) const {
    const Triple place = triple(row, g.height.places, g.width.places);
    const Triple tap = triple(k, g.height.size, g.width.size);
    const int h = g.height.read(place.row, tap.row);
    const int w = g.width.read(place.column, tap.column);
    if (!g.height.is_inside(h) || !g.width.is_inside(w)) return 0;
    return value_of(x.at(place.outer, group * g.channels + tap.outer, h, w));
  }
  __device__ Compute<M> b(int group, int k, int column) const {
    const Triple tap = triple(k, g.height.size, g.width.size);
    return value_of(weight.at(group * g.outputs + column, tap.outer, tap.row, tap.column));
  }
  __device__ void store(int group, int, int row, int column, Compute<M> sum) const {
    const Triple place = triple(row, g.height.places, g.width.places);
    const int output = group * g.outputs + column;
    if (bias != nullptr) sum += value_of(bias[output]);
    y.at(place.outer, output, place.row, place.column) = rounded<M>(sum);
  }
};

/// x grad: each pixel gathers from the places whose windows read it.
template <typename M>
struct InputGrad {
  Geometry g;
  Image<const M> weight, grad;
  Image<M> x_grad;

  __device__ Compute<M> a(int group, int row, int k) const {
    const Triple pixel = triple(row, g.height.extent, g.width.extent);
    const Triple tap = triple(k, g.height.size, g.width.size);
    const int h = g.height.place_of(pixel.row, tap.row);
    const int w = g.width.place_of(pixel.column, tap.column);
    if (h < 0 || w < 0) return 0;
    return value_of(grad.at(pixel.outer, group * g.outputs + tap.outer, h, w));
  }
  __device__ Compute<M> b(int group, int k, int column) const {
    const Triple tap = triple(k, g.height.size, g.width.size);
    return value_of(weight.at(group * g.outputs + tap.outer, column, tap.row, tap.column));
  }
  __device__ void store(int group, int, int row, int column, Compute<M> sum) const {
    const Triple pixel = triple(row, g.height.extent, g.width.extent);
    x_grad.at(pixel.outer, group * g.channels + column, pixel.row, pixel.column) = rounded<M>(sum);
  }
};

/// weight grad, one sum for each piece of `inner`.
template <typename M>
struct WeightGrad {
  Geometry g;
  Image<const M> x, grad;
  Compute<M>* pieces;  // (pieces, outputs of all groups, channels, kh, kw)

  __device__ Compute<M> a(int group, int row, int k) const {
    const Triple place = triple(k, g.height.places, g.width.places);
    return value_of(grad.at(place.outer, group * g.outputs + row, place.row, place.column));
  }
  __device__ Compute<M> b(int group, int k, int column) const {
    const Triple place = triple(k, g.height.places, g.width.places);
    const Triple tap = triple(column, g.height.size, g.width.size);
    const int h = g.height.read(place.row, tap.row);
    const int w = g.width.read(place.column, tap.column);
    if (!g.height.is_inside(h) || !g.width.is_inside(w)) return 0;
    return value_of(x.at(place.outer, group * g.channels + tap.outer, h, w));
  }
  __device__ void store(int group, int piece, int row, int column, Compute<M> sum) const {
    const Index columns = Index{g.channels} * g.height.size * g.width.size;
    const Index outputs = Index{g.outputs} * g.groups;
    pieces[(piece * outputs + group * g.outputs + row) * columns + column] = sum;
  }
};

// --- kernel ---

/// Rows and columns of the grid's tiles in x, groups in y, pieces of `inner` in z.
template <typename V, typename P>
__global__ void __launch_bounds__(kBlock)
    product_kernel(P problem, int rows, int columns, int inner, int piece) {
  __shared__ V a[kDepth][kTile + 1];
  __shared__ V b[kDepth][kTile + 1];
  const int across = (columns + kTile - 1) / kTile;
  const int first_row = static_cast<int>(blockIdx.x) / across * kTile;
  const int first_column = static_cast<int>(blockIdx.x) % across * kTile;
  const int group = blockIdx.y;
  const int last = min(inner, (static_cast<int>(blockIdx.z) + 1) * piece);
  const int x = threadIdx.x % kSide;
  const int y = threadIdx.x / kSide;
  V sums[kPerThread][kPerThread] = {};
  for (int k = blockIdx.z * piece; k < last; k += kDepth) {
    for (int i = threadIdx.x; i < kDepth * kTile; i += kBlock) {
      const int at = i / kTile;
      const int row = first_row + i % kTile;
      const int column = first_column + i % kTile;
      a[at][i % kTile] = k + at < last && row < rows ? problem.a(group, row, k + at) : V(0);
      b[at][i % kTile] =
          k + at < last && column < columns ? problem.b(group, k + at, column) : V(0);
    }
    __syncthreads();
    for (int at = 0; at < kDepth; ++at) {
      for (int i = 0; i < kPerThread; ++i) {
        for (int j = 0; j < kPerThread; ++j) {
          sums[i][j] += a[at][y + i * kSide] * b[at][x + j * kSide];
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kPerThread; ++i) {
    const int row = first_row + y + i * kSide;
    for (int j = 0; j < kPerThread; ++j) {
      const int column = first_column + x + j * kSide;
      if (row < rows && column < columns) {
        problem.store(group, blockIdx.z, row, column, sums[i][j]);
      }
    }
  }
}

// --- launchers ---

Geometry geometry_of(const Shape& x, const Shape& weight, const Shape& y, const Window& window) {
  return {small(x[0]),
          small(weight[1]),
          small(weight[0] / window.groups),
          small(window.groups),
          side_of(window, 0, x[2], weight[2], y[2]),
          side_of(window, 1, x[3], weight[3], y[3])};
}

template <typename V, typename P>
void multiply(const Call& call, const P& problem, std::int64_t rows, std::int64_t columns,
              std::int64_t inner, std::int64_t piece, std::int64_t pieces) {
  if (rows == 0 || columns == 0) return;
  const std::int64_t tiles = ceil_div(rows, kTile) * ceil_div(columns, kTile);
  CHECK(problem.g.groups <= 65535 && pieces <= 65535);
  const dim3 grid(static_cast<unsigned>(small(tiles)), problem.g.groups,
                  static_cast<unsigned>(pieces));
  product_kernel<V><<<grid, kBlock, 0, stream_of(call)>>>(problem, small(rows), small(columns),
                                                          small(inner), small(piece));
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

void conv2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& weight = call.in[1];
  const Tensor& y = call.out[0];
  const Shape& shape = y.shape();
  const Geometry g = geometry_of(x.shape(), weight.shape(), shape, call.attributes.window);
  const Tensor bias = call.in.size() > 2 ? row_major(call, call.in[2]) : Tensor();
  const std::int64_t inner = weight.shape()[1] * weight.shape()[2] * weight.shape()[3];
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const Forward<M> problem{g, image_of<const M>(x), image_of<const M>(weight),
                             bias.defined() ? memory_of<const M>(bias) : nullptr, image_of<M>(y)};
    multiply<Compute<M>>(call, problem, shape[0] * shape[2] * shape[3], g.outputs, inner, inner, 1);
  });
}

void conv2d_input_grad(const Call& call) {
  const Tensor& weight = call.in[0];
  const Tensor& grad = call.in[1];
  const Shape& shape = call.out[0].shape();
  const Geometry g = geometry_of(shape, weight.shape(), grad.shape(), call.attributes.window);
  const std::int64_t inner = std::int64_t{g.outputs} * weight.shape()[2] * weight.shape()[3];
  visit_floating(grad.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const InputGrad<M> problem{g, image_of<const M>(weight), image_of<const M>(grad),
                               image_of<M>(call.out[0])};
    multiply<Compute<M>>(call, problem, shape[0] * shape[2] * shape[3], g.channels, inner, inner,
                         1);
  });
}

void conv2d_weight_grad(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& grad = call.in[1];
  const Tensor& out = call.out[0];
  const Shape& shape = out.shape();
  const Geometry g = geometry_of(x.shape(), shape, grad.shape(), call.attributes.window);
  const std::int64_t inner = grad.shape()[0] * grad.shape()[2] * grad.shape()[3];
  const std::int64_t pieces = std::max<std::int64_t>(1, ceil_div(inner, kPiece));
  const Tensor sums =
      out.is_contiguous() ? out : Tensor::empty(call.context.pool(), out.dtype(), shape);
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    using V = Compute<M>;
    const Temporary<V> parts(call.context, pieces * out.elements());
    const WeightGrad<M> problem{g, image_of<const M>(x), image_of<const M>(grad), parts.data()};
    multiply<V>(call, problem, g.outputs, shape[1] * shape[2] * shape[3], inner, kPiece, pieces);
    const TileSums<1, V> rows{parts.data(), out.elements()};
    sum_columns<1, V>(call, rows, pieces, out.elements(), {&sums});
  });
  if (!out.is_contiguous()) copy_elements(stream_of(call), sums, out);
}

}  // namespace reef::ops::cuda
