#include "ops/autograd/decomposed/rows.h"

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::ops::decomposed {

namespace {

Axes last_axis(const Variable& x) { return static_cast<Axes>(1u << (x.value.shape().rank() - 1)); }

/// Over the last axis, which stays with extent 1.
Variable mean(Context& context, Tape& tape, const Variable& x) {
  const auto count = static_cast<double>(x.value.shape().back());
  return affine(context, tape, sum(context, tape, x, last_axis(x)), 1 / count);
}

/// A norm's weight or bias, which may be f32 beside bf16, as x is.
Variable like(Context& context, Tape& tape, const Variable& weight, const Variable& x) {
  return cast(context, tape, weight, x.value.dtype());
}

/// x less the greatest of its row. The greatest is a constant: softmax does not depend on it.
Variable lowered(Context& context, Tape& tape, const Variable& x) {
  return sub(context, tape, x, constant(max(context, x.value, last_axis(x))));
}

}  // namespace

Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon) {
  const Variable centred = sub(context, tape, x, mean(context, tape, x));
  const Variable variance = mean(context, tape, square(context, tape, centred));
  const Variable inverse = rsqrt(context, tape, affine(context, tape, variance, 1, epsilon));
  const Variable normal = mul(context, tape, centred, inverse);
  const Variable scaled = mul(context, tape, normal, like(context, tape, weight, x));
  return add(context, tape, scaled, like(context, tape, bias, x));
}

Variable rms_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                  float epsilon) {
  const Variable squares = mean(context, tape, square(context, tape, x));
  const Variable inverse = rsqrt(context, tape, affine(context, tape, squares, 1, epsilon));
  return mul(context, tape, mul(context, tape, x, inverse), like(context, tape, weight, x));
}

Variable softmax(Context& context, Tape& tape, const Variable& x) {
  const Variable powers = exp(context, tape, lowered(context, tape, x));
  return div(context, tape, powers, sum(context, tape, powers, last_axis(x)));
}

Variable log_softmax(Context& context, Tape& tape, const Variable& x) {
  const Variable low = lowered(context, tape, x);
  const Variable total = sum(context, tape, exp(context, tape, low), last_axis(x));
  return sub(context, tape, low, log(context, tape, total));
}

Variable cross_entropy(Context& context, Tape& tape, const Variable& logits, const Tensor& targets,
                       float scale) {
  const Shape column{targets.elements(), 1};
  const Shape matrix{targets.elements(), logits.value.shape().back()};
  const Tensor zero = zeros(context, DType::kI32, {});
  const Tensor counts = binary(context, Op::kLessEqual, zero, targets.reshape(column));
  const Tensor index = binary(context, Op::kMaximum, zero, targets.reshape(column));
  const Variable chances =
      decomposed::log_softmax(context, tape, reshape(context, tape, logits, matrix));
  const Variable chosen = gather(context, tape, chances, 1, index);
  const Tensor nothing = zeros(context, logits.value.dtype(), {});
  const Variable counted = where(context, tape, counts, chosen, constant(nothing));
  const Variable total = sum_to(context, tape, cast(context, tape, counted, DType::kF64), {});
  return affine(context, tape, total, -scale);
}

}  // namespace reef::ops::decomposed
