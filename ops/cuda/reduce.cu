// Reductions and scans: brings a call to the form (outer, n, inner) that the drivers take.

#include <array>

#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"
#include "ops/cuda/pointwise.cuh"
#include "ops/cuda/reduction.cuh"
#include "ops/cuda/scan.cuh"

namespace reef::ops::cuda {

namespace {

/// What sums run in: f32 for 16-bit floats and itself, 64 bits for integers.
template <typename M>
using SumOf = std::conditional_t<std::is_same_v<M, std::int32_t>, std::int64_t, Compute<M>>;

/// A tensor whose reduced axes are neighbours.
struct Reduction {
  Tensor x;
  Axes axes;
};

/// As it lies when the reduced axes (but for those of extent 1) are neighbours, else a copy in
/// which they come last.
Reduction reduction_of(const Call& call) {
  const Tensor& x = call.in[0];
  const Shape& shape = x.shape();
  std::array<std::size_t, Shape::kMaxRank> order{};
  std::size_t rank = 0;
  for (const bool reduced : {false, true}) {
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
      if ((call.attributes.axes >> axis & 1) == reduced) order[rank++] = axis;
    }
  }
  Axes axes;
  bool neighbours = true;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    if ((call.attributes.axes >> axis & 1) == 0) {
      (axes.n == 1 ? axes.outer : axes.inner) *= shape[axis];
    } else {
      neighbours = neighbours && axes.inner == 1;
      axes.n *= shape[axis];
    }
  }
  if (neighbours) return {x, axes};
  return {row_major(call, x.permute({order.data(), rank})), {axes.outer * axes.inner, axes.n, 1}};
}

template <typename F, typename A, typename M, typename Out>
void fold(const Call& call, const M* x, Out* out, const Axes& axes) {
  const Temporary<A> partial(call.context, axes.outer * parts_of(axes) * axes.inner);
  const cudaError_t status = reduce<F, A>(stream_of(call), x, out, partial.data(), axes);
  ATOLL_CUDA(status);
}

}  // namespace

void sum(const Call& call) {
  if (call.out[0].elements() == 0) return;
  if (call.in[0].elements() == 0) return fill_elements(stream_of(call), call.out[0], 0);
  const Reduction from = reduction_of(call);
  visit_number(from.x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    fold<primitive::SumFold, SumOf<M>>(call, memory_of<const M>(from.x), memory_of<M>(call.out[0]),
                                       from.axes);
  });
}

void max(const Call& call) {
  if (call.out[0].elements() == 0) return;
  const Reduction from = reduction_of(call);
  visit_number(from.x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    fold<primitive::MaximumFold, Compute<M>>(call, memory_of<const M>(from.x),
                                             memory_of<M>(call.out[0]), from.axes);
  });
}

void square_sum(const Call& call) {
  const Index count = call.in[0].elements();
  const Index whole = count / kSquareSumBlock;
  visit_floating(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const M* x = memory_of<const M>(call.in[0]);
    double* sums = memory_of<double>(call.out[0]);
    if (whole > 0) {
      fold<primitive::SquareSumFold, double>(call, x, sums, {whole, kSquareSumBlock, 1});
    }
    const Index rest = count % kSquareSumBlock;
    if (rest > 0) {
      fold<primitive::SquareSumFold, double>(call, x + whole * kSquareSumBlock, sums + whole,
                                             {1, rest, 1});
    }
  });
}

void cum_sum(const Call& call) {
  const Tensor& x = call.in[0];
  const std::size_t axis = call.attributes.axis;
  Lines lines{1, x.shape()[axis], 1, call.attributes.reverse};
  for (std::size_t i = 0; i < axis; ++i) lines.outer *= x.shape()[i];
  for (std::size_t i = axis + 1; i < x.shape().rank(); ++i) lines.inner *= x.shape()[i];
  visit_number(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    using A = SumOf<M>;
    const Temporary<A> workspace(call.context, scan_workspace(lines));
    const cudaError_t status = cumulative_sum<A>(
        stream_of(call), memory_of<const M>(x), memory_of<M>(call.out[0]), workspace.data(), lines);
    ATOLL_CUDA(status);
  });
}

}  // namespace reef::ops::cuda
