#include "ops/autograd/functions/rows.h"

#include "ops/autograd/decomposed/rows.h"
#include "ops/autograd/functions/pointwise.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// So that its gradient is f32: norms take such weights beside activations of any dtype.
Tensor widened(Context& context, const Tensor& weight) {
  return cast(context, weight, sums_of(weight.dtype()));
}

/// The norm of x as a node; both ways of computing it end here.
Variable record_layer_norm(Tape& tape, LayerNorm result, const Variable& x, const Variable& weight,
                           const Variable& bias) {
  return tape.record(
      result.y, {x, weight, bias}, {x, weight, constant(std::move(result.statistics))},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Variable past = gradients.take(0);
        LayerNormGrad grads = layer_norm_grad(context, gradients.saved(0).value,
                                              widened(context, gradients.saved(1).value),
                                              gradients.saved(2).value, grad.value, past.value);
        gradients.add(0, constant(std::move(grads.x)));
        gradients.add(1, constant(std::move(grads.weight)));
        gradients.add(2, constant(std::move(grads.bias)));
      });
}

}  // namespace

Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon) {
  if (tape.decomposes()) return decomposed::layer_norm(context, tape, x, weight, bias, epsilon);
  return record_layer_norm(tape, layer_norm(context, x.value, weight.value, bias.value, epsilon), x,
                           weight, bias);
}

SumAndNorm add_layer_norm(Context& context, Tape& tape, const Variable& a, const Variable& b,
                          const Variable& weight, const Variable& bias, float epsilon) {
  if (tape.decomposes()) {
    const Variable sum = add(context, tape, a, b);
    return {sum, decomposed::layer_norm(context, tape, sum, weight, bias, epsilon)};
  }
  AddLayerNorm result =
      add_layer_norm(context, a.value, b.value, weight.value, bias.value, epsilon);
  const Variable sum = tape.record(result.sum, {a, b}, {},
                                   [](Context&, const Variable& grad, Tape::Gradients& gradients) {
                                     gradients.add(0, grad);
                                     gradients.add(1, grad);
                                   });
  return {sum, record_layer_norm(tape, {std::move(result.y), std::move(result.statistics)}, sum,
                                 weight, bias)};
}

Variable rms_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                  float epsilon) {
  if (tape.decomposes()) return decomposed::rms_norm(context, tape, x, weight, epsilon);
  RmsNorm result = rms_norm(context, x.value, weight.value, epsilon);
  return tape.record(result.y, {x, weight}, {x, weight, constant(std::move(result.inverse))},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       RmsNormGrad grads = rms_norm_grad(context, gradients.saved(0).value,
                                                         widened(context, gradients.saved(1).value),
                                                         gradients.saved(2).value, grad.value);
                       gradients.add(0, constant(std::move(grads.x)));
                       gradients.add(1, constant(std::move(grads.weight)));
                     });
}

Variable softmax(Context& context, Tape& tape, const Variable& x) {
  if (tape.decomposes()) return decomposed::softmax(context, tape, x);
  const Tensor y = softmax(context, x.value);
  return tape.record(
      y, {x}, {Tape::result(y)},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, constant(softmax_grad(context, gradients.saved(0).value, grad.value)));
      });
}

Variable log_softmax(Context& context, Tape& tape, const Variable& x) {
  if (tape.decomposes()) return decomposed::log_softmax(context, tape, x);
  const Tensor y = log_softmax(context, x.value);
  return tape.record(
      y, {x}, {Tape::result(y)},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, constant(log_softmax_grad(context, gradients.saved(0).value, grad.value)));
      });
}

}  // namespace reef::ops
