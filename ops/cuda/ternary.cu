// Elementwise ops of three inputs.

#include "ops/cuda/kernels.h"
#include "ops/cuda/pointwise.cuh"

namespace reef::ops::cuda {

void swiglu_grad(const Call& call) {
  visit_floating(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, M, 2, M, M, M>(call, primitive::SwiGluGrad{});
  });
}

// Values are moved, not computed with: integers as wide as they serve every dtype.
void where(const Call& call) {
  visit_width(call.in[1].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    if constexpr (sizeof(M) == 8) {
      pointwise<std::int64_t, std::int64_t, 1, Bool, std::int64_t, std::int64_t>(
          call, primitive::Where{});
    } else if constexpr (sizeof(M) == 4) {
      pointwise<std::int32_t, std::int32_t, 1, Bool, std::int32_t, std::int32_t>(
          call, primitive::Where{});
    } else {
      pointwise<std::int32_t, M, 1, Bool, M, M>(call, primitive::Where{});
    }
  });
}

}  // namespace reef::ops::cuda
