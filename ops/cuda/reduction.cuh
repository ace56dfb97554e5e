#pragma once
// Reductions of x (outer, n, inner) over n. The order of every sum is fixed by the shape: a thread
// takes every k-th element in turn, a warp folds by halves, a block folds its warps in turn; long
// axes with few results are cut into parts of kPartLength, whose results are folded afterwards.

#include <cuda_runtime.h>

#include "ops/cuda/launch.cuh"
#include "ops/primitive/folds.h"

namespace reef::ops::cuda {

/// Elements along the axis of one part, where the axis is cut.
inline constexpr Index kPartLength = 16384;
/// As many results occupy a device without cutting.
inline constexpr Index kManyResults = 1024;

/// Up to here a row is too short for a whole block.
inline constexpr Index kShortRow = 1024;

struct Axes {
  Index outer = 1, n = 1, inner = 1;
};

/// Into how many parts the axis is cut.
constexpr Index parts_of(const Axes& axes) {
  const bool cut = axes.outer * axes.inner < kManyResults && axes.n >= 2 * kPartLength;
  return cut ? ceil_div(axes.n, kPartLength) : 1;
}

// --- what is folded ---

/// F of ops/primitive/folds.h on values of A.
template <typename F, typename A>
struct Folding {
  using State = A;
  __device__ static State start() { return F::template kNeutral<A>; }
  template <typename T>
  __device__ static State take(State state, T x, Index) {
    return F::combine(state, F::map(static_cast<A>(x)));
  }
  __device__ static State combine(State a, State b) { return F::combine(a, b); }
  __device__ static State shuffled(State state, int lanes) { return shuffle_down(state, lanes); }
  __device__ static A result(State state) { return state; }
};

/// The index of the first of the largest; an index of -1 means that nothing was seen.
template <typename T>
struct ArgMaximum {
  struct State {
    T value;
    Index index;
  };
  __device__ static State start() { return {T(0), -1}; }
  __device__ static State take(State state, T x, Index index) {
    return state.index < 0 || primitive::exceeds(x, state.value) ? State{x, index} : state;
  }
  __device__ static State combine(State a, State b) {
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    if (primitive::exceeds(b.value, a.value)) return b;
    if (primitive::exceeds(a.value, b.value)) return a;
    return b.index < a.index ? b : a;
  }
  __device__ static State shuffled(State state, int lanes) {
    return {shuffle_down(state.value, lanes), shuffle_down(state.index, lanes)};
  }
  __device__ static Index result(State state) { return state.index; }
};

// --- kernels ---

/// Valid in lane 0.
template <typename P>
__device__ typename P::State fold_warp(typename P::State state) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    state = P::combine(state, P::shuffled(state, lanes));
  }
  return state;
}

/// Valid in thread 0.
template <typename P>
__device__ typename P::State fold_block(typename P::State state) {
  __shared__ typename P::State warps[kWarps];
  state = fold_warp<P>(state);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = state;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kWarps; ++warp) state = P::combine(state, warps[warp]);
  }
  __syncthreads();
  return state;
}

/// inner = 1: a block for each part of a row; out (outer, parts).
template <typename P, typename M, typename Out>
__global__ void __launch_bounds__(kThreads)
    fold_rows_kernel(const M* x, Out* out, Axes axes, Index parts, Index length) {
  for (Index job = blockIdx.x; job < axes.outer * parts; job += gridDim.x) {
    const Index row = job / parts;
    const Index first = job % parts * length;
    const Index end = first + length < axes.n ? first + length : axes.n;
    typename P::State state = P::start();
    for (Index i = first + threadIdx.x; i < end; i += kThreads) {
      state = P::take(state, primitive::to_value(x[row * axes.n + i]), i);
    }
    state = fold_block<P>(state);
    if (threadIdx.x == 0) out[job] = primitive::from_value<Out>(P::result(state));
  }
}

/// inner = 1 and n <= kShortRow: a warp for each row.
template <typename P, typename M, typename Out>
__global__ void __launch_bounds__(kThreads)
    fold_short_rows_kernel(const M* x, Out* out, Axes axes) {
  const int lane = threadIdx.x % kWarp;
  const Index warps = gridDim.x * Index{kWarps};
  for (Index row = blockIdx.x * Index{kWarps} + threadIdx.x / kWarp; row < axes.outer;
       row += warps) {
    typename P::State state = P::start();
    for (Index i = lane; i < axes.n; i += kWarp) {
      state = P::take(state, primitive::to_value(x[row * axes.n + i]), i);
    }
    state = fold_warp<P>(state);
    if (lane == 0) out[row] = primitive::from_value<Out>(P::result(state));
  }
}

/// A warp's width of columns; its kWarps warps take the rows in turn. out (outer, parts, inner).
template <typename P, typename M, typename Out>
__global__ void __launch_bounds__(kThreads)
    fold_columns_kernel(const M* x, Out* out, Axes axes, Index parts, Index length) {
  __shared__ typename P::State states[kWarps][kWarp];
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  const Index groups = ceil_div(axes.inner, kWarp);
  for (Index job = blockIdx.x; job < axes.outer * parts * groups; job += gridDim.x) {
    const Index column = job % groups * kWarp + lane;
    const Index part = job / groups;
    const Index first = part % parts * length;
    const Index end = first + length < axes.n ? first + length : axes.n;
    typename P::State state = P::start();
    if (column < axes.inner) {
      const M* from = x + part / parts * axes.n * axes.inner + column;
      for (Index i = first + warp; i < end; i += kWarps) {
        state = P::take(state, primitive::to_value(from[i * axes.inner]), i);
      }
    }
    states[warp][lane] = state;
    __syncthreads();
    if (warp == 0 && column < axes.inner) {
      for (int other = 1; other < kWarps; ++other) state = P::combine(state, states[other][lane]);
      out[part * axes.inner + column] = primitive::from_value<Out>(P::result(state));
    }
    __syncthreads();
  }
}

// --- launchers ---

template <typename P, typename M, typename Out>
cudaError_t fold_parts(cudaStream_t stream, const M* x, Out* out, const Axes& axes, Index parts) {
  const Index length = ceil_div(axes.n, parts);
  const Index groups = axes.inner == 1 ? 1 : ceil_div(axes.inner, kWarp);
  const Index jobs = axes.outer * parts * groups;
  if (jobs == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>(jobs < kGridLimit ? jobs : kGridLimit);
  if (axes.inner == 1 && axes.n <= kShortRow) {
    fold_short_rows_kernel<P>
        <<<blocks_for(axes.outer * kWarp), kThreads, 0, stream>>>(x, out, axes);
  } else if (axes.inner == 1) {
    fold_rows_kernel<P><<<blocks, kThreads, 0, stream>>>(x, out, axes, parts, length);
  } else {
    fold_columns_kernel<P><<<blocks, kThreads, 0, stream>>>(x, out, axes, parts, length);
  }
  return cudaGetLastError();
}

/// out (outer, inner) = F over n, in A. `partial` has room for outer * parts_of(axes) * inner of A;
/// it may be null when that is one part. Maxima and minima need n > 0.
template <typename F, typename A, typename M, typename Out>
cudaError_t reduce(cudaStream_t stream, const M* x, Out* out, A* partial, const Axes& axes) {
  if (axes.outer < 0 || axes.n < 0 || axes.inner < 0) return cudaErrorInvalidValue;
  const Index parts = parts_of(axes);
  if (parts == 1) return fold_parts<Folding<F, A>>(stream, x, out, axes, 1);
  if (partial == nullptr) return cudaErrorInvalidValue;
  const cudaError_t error = fold_parts<Folding<F, A>>(stream, x, partial, axes, parts);
  if (error != cudaSuccess) return error;
  using Rest = Folding<typename F::Rest, A>;
  return fold_parts<Rest>(stream, partial, out, Axes{axes.outer, parts, axes.inner}, 1);
}

/// out (outer, inner) = the index along n of the first of the largest.
template <typename M, typename Out>
cudaError_t arg_maximum(cudaStream_t stream, const M* x, Out* out, const Axes& axes) {
  if (axes.outer < 0 || axes.n <= 0 || axes.inner < 0) return cudaErrorInvalidValue;
  return fold_parts<ArgMaximum<primitive::ComputeOf<M>>>(stream, x, out, axes, 1);
}

}  // namespace reef::ops::cuda
