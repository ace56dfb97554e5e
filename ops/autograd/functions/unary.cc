#include <numbers>

#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/pointwise.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// dy/dx from what was kept.
using Slope = Variable (*)(Context& context, Tape& tape, const Variable& kept);
enum class Keeps { kInput, kResult };

Variable record(Context& context, Tape& tape, Op op, const Variable& x, Keeps keeps, Slope slope) {
  const Tensor y = unary(context, op, x.value);
  return tape.record(y, {x}, {keeps == Keeps::kInput ? x : Tape::result(y)},
                     [slope](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       gradients.add(
                           0, mul(context, tape, grad, slope(context, tape, gradients.saved(0))));
                     });
}

}  // namespace

Variable neg(Context& context, Tape& tape, const Variable& x) {
  return tape.record(unary(context, Op::kNeg, x.value), {x}, {},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, neg(context, gradients.tape(), grad));
                     });
}

Variable abs(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kAbs, x, Keeps::kInput,
                [](Context& context, Tape&, const Variable& x) {
                  return constant(unary(context, Op::kSign, x.value));
                });
}

Variable exp(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kExp, x, Keeps::kResult,
                [](Context&, Tape&, const Variable& y) { return y; });
}

Variable log(Context& context, Tape& tape, const Variable& x) {
  return tape.record(unary(context, Op::kLog, x.value), {x}, {x},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, div(context, gradients.tape(), grad, gradients.saved(0)));
                     });
}

Variable sqrt(Context& context, Tape& tape, const Variable& x) {
  const Tensor y = unary(context, Op::kSqrt, x.value);
  return tape.record(
      y, {x}, {Tape::result(y)},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        gradients.add(0, affine(context, tape, div(context, tape, grad, gradients.saved(0)), 0.5));
      });
}

Variable rsqrt(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kRsqrt, x, Keeps::kResult,
                [](Context& context, Tape& tape, const Variable& y) {
                  const Variable cube = mul(context, tape, square(context, tape, y), y);
                  return affine(context, tape, cube, -0.5);
                });
}

Variable tanh(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kTanh, x, Keeps::kResult,
                [](Context& context, Tape& tape, const Variable& y) {
                  return affine(context, tape, square(context, tape, y), -1, 1);
                });
}

Variable sigmoid(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kSigmoid, x, Keeps::kResult,
                [](Context& context, Tape& tape, const Variable& y) {
                  return mul(context, tape, y, affine(context, tape, y, -1, 1));
                });
}

Variable erf(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kErf, x, Keeps::kInput,
                [](Context& context, Tape& tape, const Variable& x) {
                  const Variable power = neg(context, tape, square(context, tape, x));
                  return affine(context, tape, exp(context, tape, power),
                                2 * std::numbers::inv_sqrtpi);
                });
}

Variable sin(Context& context, Tape& tape, const Variable& x) {
  return record(
      context, tape, Op::kSin, x, Keeps::kInput,
      [](Context& context, Tape& tape, const Variable& x) { return cos(context, tape, x); });
}

Variable cos(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kCos, x, Keeps::kInput,
                [](Context& context, Tape& tape, const Variable& x) {
                  return neg(context, tape, sin(context, tape, x));
                });
}

Variable square(Context& context, Tape& tape, const Variable& x) {
  return record(
      context, tape, Op::kSquare, x, Keeps::kInput,
      [](Context& context, Tape& tape, const Variable& x) { return affine(context, tape, x, 2); });
}

Variable relu(Context& context, Tape& tape, const Variable& x) {
  return record(context, tape, Op::kRelu, x, Keeps::kResult,
                [](Context& context, Tape&, const Variable& y) {
                  const Tensor zero = zeros(context, y.value.dtype(), {});
                  const Tensor positive = binary(context, Op::kLess, zero, y.value);
                  return constant(cast(context, positive, y.value.dtype()));
                });
}

Variable affine(Context& context, Tape& tape, const Variable& x, double scale, double shift) {
  return tape.record(affine(context, x.value, scale, shift), {x}, {},
                     [scale](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, affine(context, gradients.tape(), grad, scale));
                     });
}

}  // namespace reef::ops
