#pragma once
// From a call to the elementwise driver.

#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/elementwise.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/layout.h"
#include "ops/primitive/functors.h"

namespace reef::ops::cuda {

/// out = f(in ..) for memory types In .. and Out, computed in T; any strides, broadcast.
template <typename T, typename Out, int kOutputs, typename... In, typename F>
void pointwise(const Call& call, const F& f) {
  if (call.out[0].elements() == 0) return;
  Operands operands;
  for (std::size_t i = 0; i < call.in.size(); ++i) operands.in[i] = call.in[i].raw();
  for (std::size_t i = 0; i < call.out.size(); ++i) operands.out[i] = call.out[i].raw();
  const cudaError_t status = elementwise<F, T, Out, kOutputs, In...>(
      stream_of(call), f, layout_of(call.in, call.out), operands);
  ATOLL_CUDA(status);
}

/// visit(TypeIs<M>{}) for a floating dtype, i32 or i64.
template <typename Visit>
void visit_number(DType dtype, Visit visit) {
  if (dtype == DType::kI32) return visit(TypeIs<std::int32_t>{});
  if (dtype == DType::kI64) return visit(TypeIs<std::int64_t>{});
  visit_floating(dtype, visit);
}

}  // namespace reef::ops::cuda
