#pragma once
// What the launchers share: how many blocks, how lanes of a warp talk.

#include <cuda_runtime.h>

#include "ops/primitive/memory.h"

namespace reef::ops::cuda {

using primitive::Index;

inline constexpr int kThreads = 256;
inline constexpr int kWarp = 32;
inline constexpr int kWarps = kThreads / kWarp;
/// Enough to fill any device; more work is reached by striding over the grid.
inline constexpr Index kMostBlocks = 4096;
/// What a grid's first dimension can hold.
inline constexpr Index kGridLimit = 0x7FFFFFFF;

__host__ __device__ constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// For kernels whose threads stride over `items`.
inline unsigned blocks_for(Index items) {
  const Index blocks = ceil_div(items, kThreads);
  return static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
}

template <typename T>
__device__ T shuffle_down(T value, int lanes) {
  return __shfl_down_sync(0xFFFFFFFF, value, lanes);
}
__device__ inline Index shuffle_down(Index value, int lanes) {
  return __shfl_down_sync(0xFFFFFFFF, static_cast<long long>(value), lanes);
}

}  // namespace reef::ops::cuda
