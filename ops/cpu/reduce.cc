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

void fold(Context& context, Fold kind, const Values& x, const Values& out, const AxisView& view) {
  Reduction op;
  op.element = x.element;
  op.out_element = out.element;
  op.x = x.data;
  op.out = out.data;
  op.outer = view.outer;
  op.n = view.n;
  op.inner = view.inner;
  const Index tile = view.inner > 1 ? kResultTile : rows_a_tile(view.n);
  for_tiles(context, view.outer * view.inner, tile,
            [&](Index first, Index count) { reduction_kernels().run(kind, op, first, count); });
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

/// The passes of one reduction, each reading what the one before left.
class Passes {
 public:
  Passes(Context& context, Fold fold, const Tensor& x)
      : context_(context),
        fold_(fold),
        kept_(between(fold, x.dtype())),
        from_{element_of(x.dtype()), x.raw()} {}

  /// Folds the axis of `view` into memory of its own, which the next pass reads.
  void reduce(AxisView view) {
    view.n = cut(view);
    Tensor next = room(view.outer * view.inner);
    fold(context_, fold_, from_, values_of(next), view);
    take(std::move(next));
  }
  void reduce_into(const Tensor& out, AxisView view) {
    view.n = cut(view);
    fold(context_, fold_, from_, values_of(out), view);
  }

 private:
  static Values values_of(const Tensor& tensor) {
    return {element_of(tensor.dtype()), tensor.raw()};
  }
  Tensor room(Index elements) { return Tensor::empty(context_.pool(), kept_, Shape{elements}); }
  void take(Tensor next) {
    from_ = values_of(next);
    holds_ = std::move(next);
  }
  /// Folds a long axis with few results block by block; returns the extent that is left.
  Index cut(const AxisView& view) {
    if (view.outer * view.inner >= kManyResults || view.n < 2 * kBlock) return view.n;
    const Index blocks = (view.n + kBlock - 1) / kBlock;
    Tensor partial = room(view.outer * blocks * view.inner);
    fold_blocks(context_, fold_, from_, values_of(partial), view);
    take(std::move(partial));
    return blocks;
  }

  Context& context_;
  Fold fold_;
  DType kept_;
  Values from_;
  Tensor holds_;  ///< what from_ points to after the first pass
};

void fold_axes(const Call& call, Fold kind) {
  const Tensor& x = call.in[0];
  const Runs runs = runs_of(x.shape(), call.attributes.axes);
  std::size_t left = 0;
  for (std::size_t i = 0; i < runs.count; ++i) left += runs.runs[i].reduced;
  Passes passes(call.context, kind, x);
  // Nothing to reduce but axes of one element: a pass that only copies.
  if (left == 0) return passes.reduce_into(call.out[0], {x.elements(), 1, 1});
  Index inner = 1;
  for (std::size_t i = runs.count; i-- > 0;) {
    const Run& run = runs.runs[i];
    if (!run.reduced) {
      inner *= run.extent;
      continue;
    }
    Index outer = 1;
    for (std::size_t before = 0; before < i; ++before) outer *= runs.runs[before].extent;
    const AxisView view{outer, run.extent, inner};
    if (--left == 0) return passes.reduce_into(call.out[0], view);
    passes.reduce(view);
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
