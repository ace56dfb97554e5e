#include "ops/autograd/functions/loss.h"

#include "ops/autograd/decomposed/rows.h"
#include "ops/autograd/functions/dense.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// The stored gradient times that of the scalar, which is 1 where a loss is the output.
Variable scaled(Context& context, const Tensor& stored, const Tensor& grad) {
  const Tensor here = is_host(grad.device()) ? grad : to_host(context, grad);
  const double factor = here.data<double>()[0];
  return constant(factor == 1 ? stored : affine(context, stored, factor));
}

Tensor scalar(Context& context, double value) { return fill(context, DType::kF64, {}, value); }

}  // namespace

Variable cross_entropy(Context& context, Tape& tape, const Variable& logits, const Tensor& targets,
                       float scale) {
  if (tape.decomposes()) {
    return decomposed::cross_entropy(context, tape, logits, targets, scale);
  }
  CrossEntropy result =
      softmax_cross_entropy(context, logits.value, targets, scale, tape.recording());
  return tape.record(scalar(context, scale * result.loss_sum), {logits},
                     {constant(std::move(result.grad_logits))},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, scaled(context, gradients.saved(0).value, grad.value));
                     });
}

Variable linear_cross_entropy(Context& context, Tape& tape, const Variable& x,
                              const Variable& weight, const Tensor& targets, float scale) {
  if (tape.decomposes()) {
    const Variable logits = matmul(context, tape, x, weight, Product::kNT);
    return decomposed::cross_entropy(context, tape, logits, targets, scale);
  }
  LinearCrossEntropy result = linear_cross_entropy(context, x.value, weight.value, targets, scale);
  return tape.record(scalar(context, scale * result.loss_sum), {x, weight},
                     {constant(std::move(result.grad_x)), constant(std::move(result.grad_weight))},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, scaled(context, gradients.saved(0).value, grad.value));
                       if (!gradients.wanted(1)) return;
                       gradients.add(1, scaled(context, gradients.saved(1).value, grad.value));
                     });
}

}  // namespace reef::ops
