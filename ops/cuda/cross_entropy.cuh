#pragma once
// The cross-entropy of rows of logits, for whole tensors of them and for blocks of them.

#include "ops/cuda/block.cuh"
#include "ops/cuda/element.cuh"
#include "ops/primitive/functors.h"

namespace reef::ops::cuda {

template <typename V>
struct RowTotal {
  V most;  ///< the greatest
  V sum;   ///< of exp(x - most)
};

/// Of a row that all threads of the block work on.
template <typename M>
__device__ RowTotal<Compute<M>> row_total(const M* x, Index columns) {
  using V = Compute<M>;
  V most = -static_cast<V>(INFINITY);
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) most = Greater{}(value_of(x[j]), most);
  most = block_reduce(most, Greater{});
  V sum = 0;
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    sum += primitive::exp(value_of(x[j]) - most);
  }
  return {most, block_reduce(sum, Plus{})};
}

/// losses = log(sum(exp(x))) - x[target], 0 for a negative target; grad = scale (softmax(x) - 1 at
/// the target). `grad` may be x's memory. The loss is put together in double, as it is summed.
template <typename M, typename G>
__global__ void cross_entropy_kernel(const M* x,                   // (rows, columns)
                                     const std::int32_t* targets,  // (rows)
                                     double* losses,               // (rows)
                                     G* grad,                      // (rows, columns) or null
                                     Index columns, double scale) {
  using V = Compute<M>;
  const Index row = blockIdx.x;
  const M* logits = x + row * columns;
  const Index target = targets[row];
  if (target >= 0) check_index(target, columns);
  const RowTotal<V> total = row_total(logits, columns);
  if (threadIdx.x == 0) {
    losses[row] =
        target < 0
            ? 0
            : ::log(static_cast<double>(total.sum)) +
                  (static_cast<double>(total.most) - static_cast<double>(value_of(logits[target])));
  }
  if (grad == nullptr) return;
  __syncthreads();  // the target's logit has been read
  const V factor = target < 0 ? V(0) : static_cast<V>(scale);
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    const V slope =
        primitive::exp(value_of(logits[j]) - total.most) / total.sum - (j == target ? V(1) : V(0));
    grad[row * columns + j] =
        rounded<G>(static_cast<Compute<G>>(target < 0 ? V(0) : slope * factor));
  }
}

}  // namespace reef::ops::cuda
