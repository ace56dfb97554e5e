#include "ops/autograd/functions/composite.h"

#include <utility>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// Gradients of leaves are f32 whatever the activations are.
DType sums_of(DType x) { return x == DType::kF64 ? DType::kF64 : DType::kF32; }

void add_linear_grads(Context& context, const Tensor& x, const Tensor& grad,
                      Tape::Gradients& gradients, std::size_t weight) {
  gradients.add(weight, {matmul_to(context, x, grad, Product::kTN, sums_of(x.dtype()))});
  gradients.add(weight + 1, {column_sum(context, grad)});
}

Tensor normalised(Context& context, const Variable& x, const Tape::Gradients& gradients,
                  std::size_t weight, float epsilon) {
  return layer_norm(context, x.value, gradients.weight(weight).value,
                    gradients.weight(weight + 1).value, epsilon)
      .y;
}

void add_norm_grads(LayerNormGrad grads, Tape::Gradients& gradients) {
  gradients.add(0, {std::move(grads.x)});
  gradients.add(1, {std::move(grads.weight)});
  gradients.add(2, {std::move(grads.bias)});
}

}  // namespace

Variable norm_linear(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                     const LinearLeaves& product) {
  if (tape.decomposes()) {
    const Variable n = layer_norm(context, tape, x, norm.weight, norm.bias, norm.epsilon);
    return linear(context, tape, n, product.weight, product.bias);
  }
  LayerNorm n = layer_norm(context, x.value, norm.weight.value, norm.bias.value, norm.epsilon);
  return tape.record(
      matmul(context, n.y, product.weight.value, Product::kNN, product.bias.value),
      {x, norm.weight, norm.bias, product.weight, product.bias}, {x, {std::move(n.statistics)}},
      [epsilon = norm.epsilon](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Variable& x = gradients.saved(0);
        add_linear_grads(context, normalised(context, x, gradients, 1, epsilon), grad.value,
                         gradients, 3);
        const Tensor grad_n = matmul(context, grad.value, gradients.weight(3).value, Product::kNT);
        add_norm_grads(layer_norm_grad(context, x.value, gradients.weight(1).value,
                                       gradients.saved(1).value, grad_n),
                       gradients);
      });
}

Variable norm_project(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                      const Variable& table) {
  if (tape.decomposes()) {
    const Variable n = layer_norm(context, tape, x, norm.weight, norm.bias, norm.epsilon);
    return project(context, tape, n, table);
  }
  LayerNorm n = layer_norm(context, x.value, norm.weight.value, norm.bias.value, norm.epsilon);
  const DType logits = sums_of(x.value.dtype());
  return tape.record(
      matmul_to(context, n.y, table.value, Product::kNT, logits),
      {x, norm.weight, norm.bias, table}, {x, {std::move(n.statistics)}},
      [epsilon = norm.epsilon, logits](Context& context, const Variable& grad_logits,
                                       Tape::Gradients& gradients) {
        const Variable& x = gradients.saved(0);
        const Tensor grad = cast(context, grad_logits.value, x.value.dtype());
        gradients.add(3, {matmul_to(context, grad, normalised(context, x, gradients, 1, epsilon),
                                    Product::kTN, logits)});
        const Tensor grad_n = matmul(context, grad, gradients.weight(3).value, Product::kNN);
        add_norm_grads(layer_norm_grad(context, x.value, gradients.weight(1).value,
                                       gradients.saved(1).value, grad_n),
                       gradients);
      });
}

Variable residual_mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                      const LinearLeaves& up, const LinearLeaves& down) {
  if (tape.decomposes()) {
    Variable m = layer_norm(context, tape, x, norm.weight, norm.bias, norm.epsilon);
    m = gelu(context, tape, linear(context, tape, m, up.weight, up.bias));
    return add(context, tape, x, linear(context, tape, m, down.weight, down.bias));
  }
  LayerNorm n = layer_norm(context, x.value, norm.weight.value, norm.bias.value, norm.epsilon);
  LinearActivation inner = linear_activation(context, n.y, up.weight.value, up.bias.value,
                                             Activation::kGelu, tape.recording());
  n.y = {};
  return tape.record(
      linear_residual(context, inner.y, down.weight.value, down.bias.value, x.value),
      {x, norm.weight, norm.bias, up.weight, up.bias, down.weight, down.bias},
      {x, {std::move(n.statistics)}, {std::move(inner.before)}},
      [epsilon = norm.epsilon](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Variable& x = gradients.saved(0);
        const Tensor& before = gradients.saved(2).value;
        Tensor grad_before = matmul(context, grad.value, gradients.weight(5).value, Product::kNT);
        add_linear_grads(context, gelu(context, before), grad.value, gradients, 5);
        grad_before = gelu_grad(context, before, grad_before);
        add_linear_grads(context, normalised(context, x, gradients, 1, epsilon), grad_before,
                         gradients, 3);
        const Tensor grad_n = matmul(context, grad_before, gradients.weight(3).value, Product::kNT);
        add_norm_grads(layer_norm_grad(context, x.value, gradients.weight(1).value,
                                       gradients.saved(1).value, grad_n, grad.value),
                       gradients);
      });
}

}  // namespace reef::ops
