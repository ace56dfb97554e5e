#include "ops/autograd/functions/reduce.h"

#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/pointwise.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// A sum from which the gradient comes back repeated, and in x's dtype.
Variable record_sum(Tape& tape, const Variable& x, const Tensor& result) {
  return tape.record(
      result, {x}, {},
      [spec = x.value.spec()](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        const Variable part = cast(context, tape, grad, spec.dtype);
        gradients.add(0, expand(context, tape, part, spec.shape));
      });
}

}  // namespace

Variable sum(Context& context, Tape& tape, const Variable& x, Axes axes) {
  return record_sum(tape, x, sum(context, x.value, axes));
}

Variable sum_to(Context& context, Tape& tape, const Variable& x, const Shape& shape) {
  if (x.value.shape() == shape) return x;
  return record_sum(tape, x, sum_to(context, x.value, shape));
}

Variable max(Context& context, Tape& tape, const Variable& x, Axes axes) {
  const Tensor y = max(context, x.value, axes);
  return tape.record(y, {x}, {x, Tape::result(y)},
                     [axes](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       const Tensor x = gradients.saved(0).value;
                       const Tensor greatest =
                           binary(context, Op::kEqual, x, gradients.saved(1).value);
                       const Tensor ones = cast(context, greatest, x.dtype());
                       const Tensor parts = div(context, ones, sum(context, ones, axes));
                       gradients.add(0, mul(context, gradients.tape(), grad, constant(parts)));
                     });
}

Variable cum_sum(Context& context, Tape& tape, const Variable& x, std::size_t axis, bool reverse) {
  return tape.record(
      cum_sum(context, x.value, axis, reverse), {x}, {},
      [axis, reverse](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, cum_sum(context, gradients.tape(), grad, axis, !reverse));
      });
}

Variable column_sum(Context& context, Tape& tape, const Variable& x) {
  return record_sum(tape, x, column_sum(context, x.value));
}

}  // namespace reef::ops
