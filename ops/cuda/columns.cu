#include "ops/cuda/columns.cuh"

#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

template <typename M>
struct Elements {
  const M* x;  // (rows, columns)
  Index columns;
  __device__ void operator()(Index row, Index column, Compute<M> (&values)[1]) const {
    values[0] = value_of(x[row * columns + column]);
  }
};

}  // namespace

void column_sum(const Call& call) {
  const Tensor& x = call.in[0];
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const Elements<M> rows{memory_of<const M>(x), x.shape().back()};
    sum_columns<1, Compute<M>>(call, rows, x.shape().rows(), x.shape().back(), {&call.out[0]});
  });
}

}  // namespace reef::ops::cuda
