// Sums and maxima over any axes. Neighbouring axes are reduced as one; each such run is a pass,
// from the last to the first. A long run with few results is cut into blocks, so that all workers
// have some; how is decided by the shape alone.

#include <array>

#include "ops/cpu/isa/reduction.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// Elements of a run that one block folds.
constexpr Index kBlock = 4096;
/// With as many results, workers are busy without blocks.
constexpr Index kManyResults = 256;
/// Results of a column-wise pass that one tile computes.
constexpr Index kResultTile = 128;

/// One or more neighbouring axes that are reduced, or are not.
struct Run {
  Index extent;
  bool reduced;
};
struct Runs {
  std::array<Run, Shape::kMaxRank> runs;
  std::size_t count = 0;
};

Runs runs_of(const Shape& shape, std::uint8_t axes) {
  Runs result;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const bool reduced = (axes >> axis & 1) != 0;
    const bool joins = result.count > 0 && result.runs[result.count - 1].reduced == reduced;
    if (!joins) result.runs[result.count++] = {1, reduced};
    result.runs[result.count - 1].extent *= shape[axis];
  }
  return result;
}

/// Memory that is reduced, or holds what is left of it.
struct Values {
  primitive::Element element;
  std::byte* data;
};

void fold(Context& context, Fold fold, const Values& x, const Values& out, const AxisView& view) {
  Reduction op;
  op.element = x.element;
  op.out_element = out.element;
  op.x = x.data;
  op.out = out.data;
  op.outer = view.outer;
  op.n = view.n;
  op.inner = view.inner;
  const Index tile = view.inner > 1 ? kResultTile : std::max<Index>(1, kElements / (view.n + 1));
  for_tiles(context, view.outer * view.inner, tile,
            [&](Index first, Index count) { reduction_kernels().run(fold, op, first, count); });
}

/// Whole blocks of (outer, n, inner), then what is left of n, into partial (outer, blocks, inner).
void fold_blocks(Context& context, Fold fold, const Values& x, const Values& partial,
                 const AxisView& view) {
  const Index blocks = (view.n + kBlock - 1) / kBlock;
  const auto size = static_cast<Index>(size_of(static_cast<DType>(x.element)));
  const auto partial_size = static_cast<Index>(size_of(static_cast<DType>(partial.element)));
  const auto tasks = static_cast<std::size_t>(view.outer * blocks);
  context.parallel_for(tasks, [&, blocks, size, partial_size, fold](std::size_t index) {
    const auto task = static_cast<Index>(index);
    const Index first = task % blocks * kBlock;
    Reduction op;
    op.element = x.element;
    op.out_element = partial.element;
    op.x = x.data + (task / blocks * view.n + first) * view.inner * size;
    op.out = partial.data + task * view.inner * partial_size;
    op.n = std::min(kBlock, view.n - first);
    op.inner = view.inner;
    reduction_kernels().run(fold, op, 0, view.inner);
  });
}

/// What sums are kept in between passes: double, or 64-bit integers; maxima in their own type.
DType between(Fold fold, DType dtype) {
  if (fold == Fold::kMaximum) return dtype;
  return is_floating(dtype) ? DType::kF64 : DType::kI64;
}

void fold_axes(const Call& call, Fold kind) {
  const Tensor& x = call.in[0];
  const Values out{element_of(call.out[0].dtype()), call.out[0].raw()};
  Runs runs = runs_of(x.shape(), call.attributes.axes);
  const DType kept = between(kind, x.dtype());
  Values from{element_of(x.dtype()), x.raw()};
  Tensor holds;  // what `from` points to after the first pass
  const auto finish = [&](const AxisView& view, bool last) {
    const bool cut = view.outer * view.inner < kManyResults && view.n >= 2 * kBlock;
    if (cut) {
      const Index blocks = (view.n + kBlock - 1) / kBlock;
      Tensor partial =
          Tensor::empty(call.context.pool(), kept, Shape{view.outer * blocks * view.inner});
      const Values to{element_of(kept), partial.raw()};
      fold_blocks(call.context, kind, from, to, view);
      from = to;
      holds = std::move(partial);
    }
    const Index n = cut ? (view.n + kBlock - 1) / kBlock : view.n;
    const AxisView rest{view.outer, n, view.inner};
    if (last) return fold(call.context, kind, from, out, rest);
    Tensor next = Tensor::empty(call.context.pool(), kept, Shape{view.outer * view.inner});
    const Values to{element_of(kept), next.raw()};
    fold(call.context, kind, from, to, rest);
    from = to;
    holds = std::move(next);
  };
  std::size_t left = 0;
  for (std::size_t i = 0; i < runs.count; ++i) left += runs.runs[i].reduced;
  // Nothing to reduce but axes of one element: a pass that only copies.
  if (left == 0) return fold(call.context, kind, from, out, {x.elements(), 1, 1});
  Index inner = 1;
  for (std::size_t i = runs.count; i-- > 0;) {
    if (!runs.runs[i].reduced) {
      inner *= runs.runs[i].extent;
      continue;
    }
    Index outer = 1;
    for (std::size_t before = 0; before < i; ++before) outer *= runs.runs[before].extent;
    finish({outer, runs.runs[i].extent, inner}, --left == 0);
  }
}

void sum(const Call& call) { fold_axes(call, Fold::kSum); }
void max(const Call& call) { fold_axes(call, Fold::kMaximum); }

void square_sum(const Call& call) {
  const Tensor& x = call.in[0];
  const auto size = static_cast<Index>(size_of(x.dtype()));
  for_tiles(call.context, x.elements(), kSquareSumBlock, [&](Index first, Index count) {
    Reduction op;
    op.element = element_of(x.dtype());
    op.out_element = primitive::Element::kF64;
    op.x = x.raw() + first * size;
    op.out = call.out[0].data<double>() + first / kSquareSumBlock;
    op.n = count;
    reduction_kernels().run(Fold::kSquareSum, op, 0, 1);
  });
}

void arg_max(const Call& call) {
  const Tensor& x = call.in[0];
  const AxisView rows{x.shape().rows(), x.shape().back(), 1};
  fold(call.context, Fold::kArgMaximum, {element_of(x.dtype()), x.raw()},
       {element_of(call.out[0].dtype()), call.out[0].raw()}, rows);
}

constexpr Layout kPlain = Layout::kRowMajor;

constexpr Served kServed[] = {
    {Op::kSum, sum, kPlain, kNumeric},
    {Op::kMax, max, kPlain, kNumeric},
    {Op::kSquareSum, square_sum, kPlain, kFloating},
    {Op::kArgMax, arg_max, kPlain, kFloating},
};

}  // namespace

std::span<const Served> reduce_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
