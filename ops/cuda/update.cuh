#pragma once
// Optimizer updates in place: the rules of ops/primitive/optimizers.h, an element a thread.

#include <cuda_runtime.h>

#include "ops/cuda/launch.cuh"
#include "ops/primitive/optimizers.h"

namespace reef::ops::cuda {

/// `copy`, if not null, receives the new master rounded to Copy.
template <typename Rule, typename T, typename Grad, typename Copy>
__global__ void __launch_bounds__(kThreads)
    update_kernel(Rule rule, const Grad* grad, T* master, T* first, T* second, Copy* copy,
                  Index count) {
  for (Index i = blockIdx.x * Index{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * Index{kThreads}) {
    T value = master[i];
    T states[2] = {first[i], Rule::kStates > 1 ? second[i] : T(0)};
    rule(static_cast<T>(primitive::to_value(grad[i])), value, states);
    master[i] = value;
    first[i] = states[0];
    if (Rule::kStates > 1) second[i] = states[1];
    if (copy != nullptr) copy[i] = primitive::from_value<Copy>(value);
  }
}

/// `second` is not touched by rules of one state.
template <typename Rule, typename T, typename Grad, typename Copy>
cudaError_t update(cudaStream_t stream, const Rule& rule, const Grad* grad, T* master, T* first,
                   T* second, Copy* copy, Index count) {
  if (count < 0 || first == nullptr || (Rule::kStates > 1 && second == nullptr)) {
    return cudaErrorInvalidValue;
  }
  if (count == 0) return cudaSuccess;
  update_kernel<<<blocks_for(count), kThreads, 0, stream>>>(rule, grad, master, first, second, copy,
                                                            count);
  return cudaGetLastError();
}

}  // namespace reef::ops::cuda
