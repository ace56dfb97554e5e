// Softmax, its logarithm and cross-entropy, a block a row.

#include "ops/cuda/block.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/cross_entropy.cuh"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

// --- kernels; x, y, grad are (rows, columns) ---

template <bool logarithm, typename M>
__global__ void softmax_kernel(const M* x, M* y, Index columns) {
  using V = Compute<M>;
  const Index start = blockIdx.x * columns;
  const RowTotal<V> total = row_total(x + start, columns);
  const V log_sum = primitive::log(total.sum);
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    const V shifted = value_of(x[start + j]) - total.most;
    y[start + j] = rounded<M>(logarithm ? shifted - log_sum : primitive::exp(shifted) / total.sum);
  }
}

/// y (grad - sum(grad y)).
template <typename M>
__global__ void softmax_grad_kernel(const M* y, const M* grad, M* x_grad, Index columns) {
  using V = Compute<M>;
  const Index start = blockIdx.x * columns;
  V sum = 0;
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    sum += value_of(y[start + j]) * value_of(grad[start + j]);
  }
  sum = block_reduce(sum, Plus{});
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    x_grad[start + j] = rounded<M>(value_of(y[start + j]) * (value_of(grad[start + j]) - sum));
  }
}

/// grad - exp(y) sum(grad).
template <typename M>
__global__ void log_softmax_grad_kernel(const M* y, const M* grad, M* x_grad, Index columns) {
  using V = Compute<M>;
  const Index start = blockIdx.x * columns;
  V sum = 0;
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) sum += value_of(grad[start + j]);
  sum = block_reduce(sum, Plus{});
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    x_grad[start + j] =
        rounded<M>(value_of(grad[start + j]) - primitive::exp(value_of(y[start + j])) * sum);
  }
}

// --- launchers ---

/// Calls launch(grid, block, M) unless there are no rows.
template <typename Launch>
void for_rows(const Tensor& x, Launch launch) {
  const Index rows = x.shape().rows();
  if (rows == 0) return;
  visit_floating(x.dtype(), [&](auto type) {
    launch(one_block_each(rows), row_threads(x.shape().back()), type);
  });
  ATOLL_CUDA(cudaGetLastError());
}

template <bool logarithm>
void softmax_of(const Call& call) {
  for_rows(call.in[0], [&](unsigned grid, unsigned block, auto type) {
    using M = typename decltype(type)::Type;
    softmax_kernel<logarithm, M><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(call.in[0]), memory_of<M>(call.out[0]), call.in[0].shape().back());
  });
}

}  // namespace

void softmax(const Call& call) { softmax_of<false>(call); }
void log_softmax(const Call& call) { softmax_of<true>(call); }

void softmax_grad(const Call& call) {
  for_rows(call.in[0], [&](unsigned grid, unsigned block, auto type) {
    using M = typename decltype(type)::Type;
    softmax_grad_kernel<M>
        <<<grid, block, 0, stream_of(call)>>>(memory_of<M>(call.in[0]), memory_of<M>(call.in[1]),
                                              memory_of<M>(call.out[0]), call.in[0].shape().back());
  });
}

void log_softmax_grad(const Call& call) {
  for_rows(call.in[0], [&](unsigned grid, unsigned block, auto type) {
    using M = typename decltype(type)::Type;
    log_softmax_grad_kernel<M>
        <<<grid, block, 0, stream_of(call)>>>(memory_of<M>(call.in[0]), memory_of<M>(call.in[1]),
                                              memory_of<M>(call.out[0]), call.in[0].shape().back());
  });
}

void cross_entropy(const Call& call) {
  for_rows(call.in[0], [&](unsigned grid, unsigned block, auto type) {
    using M = typename decltype(type)::Type;
    M* grad = call.out.size() > 1 ? memory_of<M>(call.out[1]) : nullptr;
    cross_entropy_kernel<M, M><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(call.in[0]), memory_of<std::int32_t>(call.in[1]),
        memory_of<double>(call.out[0]), grad, call.in[0].shape().back(), call.attributes.scale);
  });
}

}  // namespace reef::ops::cuda
