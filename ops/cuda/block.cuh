#pragma once
// What the threads of one block find out together. All reductions run as a fixed tree, so the bits
// depend on the number of threads of a block, which a launcher derives from shapes alone.

#include <cstdio>

#include "ops/cuda/launch.cuh"
#include "runtime/base/check.h"

namespace reef::ops::cuda {

inline constexpr unsigned kAllLanes = 0xFFFFFFFF;
inline constexpr int kMaxWarps = 32;

struct Plus {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
/// NaN wins.
struct Greater {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

/// Of the values of a warp's lanes; every lane gets it.
template <typename T, typename Combine>
__device__ T warp_reduce(T value, Combine combine) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

/// Of the values of a block's threads (whole warps); every thread gets it. All threads call it.
template <typename T, typename Combine>
__device__ T block_reduce(T value, Combine combine) {
  __shared__ T parts[kMaxWarps];
  value = warp_reduce(value, combine);
  __syncthreads();  // the parts of the call before have been read
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  T total = parts[0];
  for (int warp = 1; warp < static_cast<int>(blockDim.x) / kWarp; ++warp) {
    total = combine(total, parts[warp]);
  }
  return total;
}

/// Ends the process, by way of the next call that waits, when an index is out of range.
__device__ inline void check_index(Index index, Index extent) {
  if (index >= 0 && index < extent) return;
  printf("index %lld of %lld\n", static_cast<long long>(index), static_cast<long long>(extent));
  __trap();
}

/// Threads for a block that owns a row of so many columns.
inline unsigned row_threads(Index columns) {
  return columns <= 128 ? 32 : columns <= 1024 ? 128 : 512;
}
/// Blocks of a grid's first dimension, one for each item.
inline unsigned one_block_each(Index items) {
  CHECK(items <= kGridLimit) << items << " blocks";
  return static_cast<unsigned>(items);
}

}  // namespace reef::ops::cuda
