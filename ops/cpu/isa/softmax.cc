// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/softmax.h"

#include "ops/primitive/functors.h"
#include "ops/primitive/rows.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// What exponentials of a row are taken of: x - shift, none of which overflows, and their sum.
struct Exponentials {
  float shift;
  float sum;
};

/// When `kept` is not null, the exponentials are also stored there.
template <typename M>
ATOLL_PRIMITIVE Exponentials exponentials_of(Index n, const M* x, float* kept) {
  const float shift = max_row(n, x);
  return {shift, exp_sum(n, x, 1.0f, shift, kept)};
}

/// out = factor exp(x - shift), the factor being that of the sum. The exponentials are kept where
/// nothing rounds them in between: in `out` itself if it is f32, else in `room`.
template <typename M, typename Factor>
ATOLL_PRIMITIVE Exponentials scaled_exponentials(Index n, const M* x, Factor factor_of, float* room,
                                                 M* out) {
  if constexpr (kSame<M, float>) room = out;
  const Exponentials e = exponentials_of(n, x, room);
  const float factor = factor_of(e.sum);
  map_row(
      n, out, [factor](const Floats& v) __attribute__((always_inline)) { return v * factor; },
      room);
  return e;
}

template <typename M>
void softmax_row(const SoftmaxRows& op, const M* x, const M*, M* y) {
  scaled_exponentials(
      op.columns, x, [](float sum) { return 1.0f / sum; }, op.room, y);
}

template <typename M>
void log_softmax_row(const SoftmaxRows& op, const M* x, const M*, M* y) {
  const Index n = op.columns;
  const Exponentials e = exponentials_of(n, x, nullptr);
  const float log_sum = log(e.sum);
  map_row(
      n, y, [ shift = e.shift, log_sum ](const Floats& v) __attribute__((always_inline)) {
        return (v - shift) - log_sum;
      },
      x);
}

template <typename M>
void softmax_grad_row(const SoftmaxRows& op, const M* y, const M* grad, M* out) {
  const Index n = op.columns;
  const float mean = sum_row(n, Mul{}, y, grad);
  map_row(
      n, out,
      [mean](const Floats& v, const Floats& g)
          __attribute__((always_inline)) { return v * (g - mean); },
      y, grad);
}

template <typename M>
void log_softmax_grad_row(const SoftmaxRows& op, const M* y, const M* grad, M* out) {
  const Index n = op.columns;
  const float sum = sum_row(n, Copy{}, grad);
  map_row(
      n, out,
      [sum](const Floats& v, const Floats& g)
          __attribute__((always_inline)) { return g - exp_bounded(v) * sum; },
      y, grad);
}

template <typename M>
double cross_entropy_row(const CrossEntropyRow& row) {
  const M* x = static_cast<const M*>(row.logits);
  M* grad = static_cast<M*>(row.grad);
  const float hit = to_value(x[row.target]);
  float factor = 0;
  const auto factor_of = [&](float sum) { return factor = row.scale / sum; };
  const Exponentials e = grad == nullptr
                             ? exponentials_of(row.columns, x, nullptr)
                             : scaled_exponentials(row.columns, x, factor_of, row.room, grad);
  if (grad != nullptr) {
    // Not a subtraction from what was stored, which may be rounded.
    grad[row.target] = from_value<M>(exp_bounded(hit - e.shift) * factor - row.scale);
  }
  return log(static_cast<double>(e.sum)) + (static_cast<double>(e.shift) - hit);
}

template <typename M>
using RowKernel = void (*)(const SoftmaxRows& op, const M* x, const M* grad, M* out);

template <typename M, RowKernel<M> kernel>
void over_rows(const SoftmaxRows& op, Index first, Index count) {
  for (Index row = first; row < first + count; ++row) {
    const Index at = row * op.columns;
    const M* grad = op.grad != nullptr ? static_cast<const M*>(op.grad) + at : nullptr;
    kernel(op, static_cast<const M*>(op.x) + at, grad, static_cast<M*>(op.out) + at);
  }
}

template <RowKernel<float> of_f32, RowKernel<BF16> of_bf16>
void rows(const SoftmaxRows& op, Index first, Index count) {
  if (op.element == Element::kF32) return over_rows<float, of_f32>(op, first, count);
  over_rows<BF16, of_bf16>(op, first, count);
}

double cross_entropy(const CrossEntropyRow& row) {
  if (row.element == Element::kF32) return cross_entropy_row<float>(row);
  return cross_entropy_row<BF16>(row);
}

}  // namespace

extern const SoftmaxKernels kSoftmaxKernels;
const SoftmaxKernels kSoftmaxKernels = {
    rows<softmax_row, softmax_row>, rows<softmax_grad_row, softmax_grad_row>,
    rows<log_softmax_row, log_softmax_row>, rows<log_softmax_grad_row, log_softmax_grad_row>,
    cross_entropy};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
