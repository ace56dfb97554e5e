#include "ops/autograd/functions/pointwise.h"

#include "ops/autograd/decomposed/pointwise.h"
#include "ops/autograd/functions/reduce.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// The part of the gradient that `a` gets: 1 where less(first, second), half where they are equal.
Tensor share(Context& context, const Tensor& less, const Tensor& equal, DType dtype) {
  const Tensor half = fill(context, dtype, {}, 0.5);
  const Tensor otherwise = where(context, equal, half, zeros(context, dtype, {}));
  return where(context, less, fill(context, dtype, {}, 1), otherwise);
}

/// Serves kMaximum and kMinimum.
Variable record_extreme(Context& context, Tape& tape, Op op, const Variable& a, const Variable& b) {
  return tape.record(
      binary(context, op, a.value, b.value), {a, b}, {a, b},
      [op](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Tensor a = gradients.saved(0).value;
        const Tensor b = gradients.saved(1).value;
        const bool greatest = op == Op::kMaximum;
        const Tensor less = binary(context, Op::kLess, greatest ? b : a, greatest ? a : b);
        const Variable part =
            constant(share(context, less, binary(context, Op::kEqual, a, b), a.dtype()));
        Tape& tape = gradients.tape();
        const Variable first = mul(context, tape, grad, part);
        gradients.add(0, sum_to(context, tape, first, a.shape()));
        if (!gradients.wanted(1)) return;
        gradients.add(1, sum_to(context, tape, sub(context, tape, grad, first), b.shape()));
      });
}

}  // namespace

Variable add(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return tape.record(add(context, a.value, b.value), {a, b}, {},
                     [left = a.value.shape(), right = b.value.shape()](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       if (gradients.wanted(0)) {
                         gradients.add(0, sum_to(context, tape, grad, left));
                       }
                       if (gradients.wanted(1)) {
                         gradients.add(1, sum_to(context, tape, grad, right));
                       }
                     });
}

Variable sub(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return tape.record(sub(context, a.value, b.value), {a, b}, {},
                     [left = a.value.shape(), right = b.value.shape()](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       if (gradients.wanted(0)) {
                         gradients.add(0, sum_to(context, tape, grad, left));
                       }
                       if (!gradients.wanted(1)) return;
                       const Variable sum = sum_to(context, tape, grad, right);
                       gradients.add(1, neg(context, tape, sum));
                     });
}

Variable mul(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return tape.record(mul(context, a.value, b.value), {a, b}, {kept_for(b, a), kept_for(a, b)},
                     [left = a.value.shape(), right = b.value.shape()](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       if (gradients.wanted(0)) {
                         const Variable product = mul(context, tape, grad, gradients.saved(1));
                         gradients.add(0, sum_to(context, tape, product, left));
                       }
                       if (gradients.wanted(1)) {
                         const Variable product = mul(context, tape, grad, gradients.saved(0));
                         gradients.add(1, sum_to(context, tape, product, right));
                       }
                     });
}

Variable div(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  const Tensor y = div(context, a.value, b.value);
  return tape.record(y, {a, b}, {b, kept_for(b, Tape::result(y))},
                     [left = a.value.shape(), right = b.value.shape()](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       const Variable part = div(context, tape, grad, gradients.saved(0));
                       if (gradients.wanted(0)) {
                         gradients.add(0, sum_to(context, tape, part, left));
                       }
                       if (!gradients.wanted(1)) return;  // d/db a / b = -y / b
                       const Variable product = mul(context, tape, part, gradients.saved(1));
                       const Variable sum = sum_to(context, tape, product, right);
                       gradients.add(1, neg(context, tape, sum));
                     });
}

Variable maximum(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return record_extreme(context, tape, Op::kMaximum, a, b);
}

Variable minimum(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return record_extreme(context, tape, Op::kMinimum, a, b);
}

Variable where(Context& context, Tape& tape, const Tensor& condition, const Variable& a,
               const Variable& b) {
  return tape.record(where(context, condition, a.value, b.value), {a, b}, {constant(condition)},
                     [left = a.value.shape(), right = b.value.shape()](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       const Tensor condition = gradients.saved(0).value;
                       const Variable zero = constant(zeros(context, grad.value.dtype(), {}));
                       if (gradients.wanted(0)) {
                         const Variable part = where(context, tape, condition, grad, zero);
                         gradients.add(0, sum_to(context, tape, part, left));
                       }
                       if (gradients.wanted(1)) {
                         const Variable part = where(context, tape, condition, zero, grad);
                         gradients.add(1, sum_to(context, tape, part, right));
                       }
                     });
}

Variable gelu(Context& context, Tape& tape, const Variable& x) {
  if (tape.decomposes()) return decomposed::gelu(context, tape, x);
  return tape.record(gelu(context, x.value), {x}, {x},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(
                           0, constant(gelu_grad(context, gradients.saved(0).value, grad.value)));
                     });
}

Variable silu(Context& context, Tape& tape, const Variable& x) {
  if (tape.decomposes()) return decomposed::silu(context, tape, x);
  return tape.record(silu(context, x.value), {x}, {x},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(
                           0, constant(silu_grad(context, gradients.saved(0).value, grad.value)));
                     });
}

Variable swiglu(Context& context, Tape& tape, const Variable& gate, const Variable& up) {
  if (tape.decomposes()) return decomposed::swiglu(context, tape, gate, up);
  return tape.record(swiglu(context, gate.value, up.value), {gate, up}, {gate, up},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       SwiGluGrad grads = swiglu_grad(context, gradients.saved(0).value,
                                                      gradients.saved(1).value, grad.value);
                       gradients.add(0, constant(std::move(grads.gate)));
                       gradients.add(1, constant(std::move(grads.up)));
                     });
}

}  // namespace reef::ops
