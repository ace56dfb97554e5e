#pragma once
// Sums down the columns of something with many rows: gradients of biases and norms. Rows are cut
// into tiles of kTileRows whatever the GPU, each tile is added by one block in a fixed order, and
// so are the sums of tiles, until one is left: no atomics, the same bits every time.

#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"

namespace reef::ops::cuda {

inline constexpr int kTileColumns = 32;
inline constexpr int kTileLanes = 8;  ///< threads that share a column of a tile
inline constexpr int kTileRows = 256;

// --- kernels ---

/// kSums values for each element, from rows(row, column, values).
template <int kSums, typename V, typename Rows>
__global__ void __launch_bounds__(kTileColumns* kTileLanes)
    column_tile_kernel(Rows source, Index rows, Index columns,
                       V* sums) {  // (tiles, kSums, columns)
  __shared__ V parts[kSums][kTileLanes][kTileColumns];
  const int lane = threadIdx.y;
  const Index column = Index{blockIdx.x} * kTileColumns + threadIdx.x;
  const Index first = Index{blockIdx.y} * kTileRows;
  const Index last = first + kTileRows < rows ? first + kTileRows : rows;
  V total[kSums] = {};
  for (Index row = first + lane; row < last && column < columns; row += kTileLanes) {
    V values[kSums];
    source(row, column, values);
    for (int k = 0; k < kSums; ++k) total[k] += values[k];
  }
  for (int k = 0; k < kSums; ++k) parts[k][lane][threadIdx.x] = total[k];
  __syncthreads();
  if (lane != 0 || column >= columns) return;
  for (int k = 0; k < kSums; ++k) {
    V sum = parts[k][0][threadIdx.x];
    for (int i = 1; i < kTileLanes; ++i) sum += parts[k][i][threadIdx.x];
    sums[(blockIdx.y * Index{kSums} + k) * columns + column] = sum;
  }
}

/// The sums of tiles, as rows to add again.
template <int kSums, typename V>
struct TileSums {
  const V* sums;  // (tiles, kSums, columns)
  Index columns;
  __device__ void operator()(Index row, Index column, V (&values)[kSums]) const {
    for (int k = 0; k < kSums; ++k) values[k] = sums[(row * kSums + k) * columns + column];
  }
};

template <typename V, typename M>
__global__ void round_kernel(const V* sums, M* to, Index count) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) to[i] = rounded<M>(static_cast<Compute<M>>(sums[i]));
}

// --- launchers ---

template <int kSums, typename V, typename Rows>
Temporary<V> add_tiles(const Call& call, const Rows& source, Index rows, Index columns) {
  // No rows: one tile of nothing, whose sums are zero.
  const Index tiles = rows > 0 ? ceil_div(rows, kTileRows) : 1;
  Temporary<V> sums(call.context, tiles * kSums * columns);
  CHECK_LE(tiles, 65535) << rows << " rows";
  const dim3 grid(static_cast<unsigned>(ceil_div(columns, kTileColumns)),
                  static_cast<unsigned>(tiles));
  column_tile_kernel<kSums, V><<<grid, dim3(kTileColumns, kTileLanes), 0, stream_of(call)>>>(
      source, rows, columns, sums.data());
  ATOLL_CUDA(cudaGetLastError());
  if (tiles == 1) return sums;
  return add_tiles<kSums, V>(call, TileSums<kSums, V>{sums.data(), columns}, tiles, columns);
}

/// out[k][column] = the sum over rows of value k; rows and columns may be 0.
template <int kSums, typename V, typename Rows>
void sum_columns(const Call& call, const Rows& source, Index rows, Index columns,
                 const Tensor* const (&out)[kSums]) {
  if (columns == 0) return;
  const Temporary<V> sums = add_tiles<kSums, V>(call, source, rows, columns);
  for (int k = 0; k < kSums; ++k) {
    visit_floating(out[k]->dtype(), [&](auto type) {
      using M = typename decltype(type)::Type;
      round_kernel<<<static_cast<unsigned>(ceil_div(columns, kThreads)), kThreads, 0,
                     stream_of(call)>>>(sums.data() + k * columns, memory_of<M>(*out[k]), columns);
    });
    ATOLL_CUDA(cudaGetLastError());
  }
}

}  // namespace reef::ops::cuda
