#pragma once
// Running sums of x (outer, n, inner) along n. With inner = 1 in three launches: the sum of each
// tile, the running sums of those, then each tile from its start. (Decoupled look-back, Merrill and
// Garland 2016, reads once less, but its sums depend on which tiles were ready.) Otherwise a thread
// walks down each column.

#include <cuda_runtime.h>

#include "ops/cuda/launch.cuh"
#include "ops/primitive/folds.h"

namespace reef::ops::cuda {

inline constexpr int kPerThread = 8;
inline constexpr int kTile = kThreads * kPerThread;

struct Lines {
  Index outer = 1, n = 1, inner = 1;
  bool reverse = false;
};

/// Elements of A that `cumulative_sum` needs to remember the tiles by.
constexpr Index scan_workspace(const Lines& lines) {
  return lines.inner == 1 ? lines.outer * ceil_div(lines.n, kTile) : 0;
}

// --- kernels ---

/// The sum of what threads before this one hold; `total` is that of all.
template <typename A>
__device__ A sum_before(A value, A& total) {
  __shared__ A warps[kWarps];
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  A sum = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const A below = __shfl_up_sync(0xFFFFFFFF, sum, step);
    if (lane >= step) sum += below;
  }
  if (lane == kWarp - 1) warps[warp] = sum;
  __syncthreads();
  A before = 0;
  total = 0;
  for (int other = 0; other < kWarps; ++other) {
    if (other == warp) before = total;
    total += warps[other];
  }
  __syncthreads();
  const A inside = __shfl_up_sync(0xFFFFFFFF, sum, 1);
  return lane == 0 ? before : before + inside;
}

/// The elements of one thread in a tile, in the direction of the scan, 0 beyond the end.
template <typename A, typename M>
struct TilePart {
  Index first;  ///< position along the line
  A values[kPerThread];
  A sum = 0;

  __device__ TilePart(const M* line, const Lines& lines, Index tile)
      : first(tile * kTile + threadIdx.x * kPerThread) {
    for (int i = 0; i < kPerThread; ++i) {
      values[i] =
          inside(lines, i) ? static_cast<A>(primitive::to_value(line[place(lines, i)])) : A(0);
      sum += values[i];
    }
  }
  __device__ bool inside(const Lines& lines, int i) const { return first + i < lines.n; }
  __device__ Index place(const Lines& lines, int i) const {
    return lines.reverse ? lines.n - 1 - first - i : first + i;
  }
};

template <typename A, typename M>
__global__ void __launch_bounds__(kThreads)
    tile_sums_kernel(const M* x, A* sums, Lines lines, Index tiles) {
  for (Index job = blockIdx.x; job < lines.outer * tiles; job += gridDim.x) {
    const TilePart<A, M> part(x + job / tiles * lines.n, lines, job % tiles);
    A total;
    sum_before(part.sum, total);
    if (threadIdx.x == 0) sums[job] = total;
  }
}

/// sums (outer, tiles) become the sums of the tiles before.
template <typename A>
__global__ void __launch_bounds__(kThreads) tile_starts_kernel(A* sums, Index outer, Index tiles) {
  for (Index line = blockIdx.x; line < outer; line += gridDim.x) {
    A start = 0;
    for (Index first = 0; first < tiles; first += kThreads) {
      const Index tile = first + threadIdx.x;
      A* at = sums + line * tiles + tile;
      A total;
      const A before = sum_before(tile < tiles ? *at : A(0), total);
      if (tile < tiles) *at = start + before;
      start += total;
    }
  }
}

template <typename A, typename M>
__global__ void __launch_bounds__(kThreads)
    scan_tiles_kernel(const M* x, M* out, const A* starts, Lines lines, Index tiles) {
  for (Index job = blockIdx.x; job < lines.outer * tiles; job += gridDim.x) {
    const Index line = job / tiles * lines.n;
    const TilePart<A, M> part(x + line, lines, job % tiles);
    A total;
    A sum = sum_before(part.sum, total) + (tiles > 1 ? starts[job] : A(0));
    for (int i = 0; i < kPerThread; ++i) {
      sum += part.values[i];
      if (part.inside(lines, i)) {
        out[line + part.place(lines, i)] = primitive::from_value<M>(sum);
      }
    }
  }
}

template <typename A, typename M>
__global__ void __launch_bounds__(kThreads) scan_columns_kernel(const M* x, M* out, Lines lines) {
  const Index columns = lines.outer * lines.inner;
  for (Index column = blockIdx.x * Index{kThreads} + threadIdx.x; column < columns;
       column += gridDim.x * Index{kThreads}) {
    const Index start = column / lines.inner * lines.n * lines.inner + column % lines.inner;
    A sum = 0;
    for (Index i = 0; i < lines.n; ++i) {
      const Index at = start + (lines.reverse ? lines.n - 1 - i : i) * lines.inner;
      sum += static_cast<A>(primitive::to_value(x[at]));
      out[at] = primitive::from_value<M>(sum);
    }
  }
}

// --- launcher ---

/// out = running sums of x, in A; they may be the same memory. `workspace` has room for
/// scan_workspace(lines) of A; it may be null when a line is one tile.
template <typename A, typename M>
cudaError_t cumulative_sum(cudaStream_t stream, const M* x, M* out, A* workspace,
                           const Lines& lines) {
  if (lines.outer < 0 || lines.n < 0 || lines.inner < 0) return cudaErrorInvalidValue;
  if (lines.outer * lines.n * lines.inner == 0) return cudaSuccess;
  if (lines.inner > 1) {
    scan_columns_kernel<A>
        <<<blocks_for(lines.outer * lines.inner), kThreads, 0, stream>>>(x, out, lines);
    return cudaGetLastError();
  }
  const Index tiles = ceil_div(lines.n, kTile);
  const Index jobs = lines.outer * tiles;
  const auto blocks = static_cast<unsigned>(jobs < kGridLimit ? jobs : kGridLimit);
  if (tiles > 1) {
    if (workspace == nullptr) return cudaErrorInvalidValue;
    tile_sums_kernel<A><<<blocks, kThreads, 0, stream>>>(x, workspace, lines, tiles);
    const auto rows = static_cast<unsigned>(lines.outer < kGridLimit ? lines.outer : kGridLimit);
    tile_starts_kernel<<<rows, kThreads, 0, stream>>>(workspace, lines.outer, tiles);
  }
  scan_tiles_kernel<A><<<blocks, kThreads, 0, stream>>>(x, out, workspace, lines, tiles);
  return cudaGetLastError();
}

}  // namespace reef::ops::cuda
