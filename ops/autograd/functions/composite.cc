#include "ops/autograd/functions/composite.h"

#include <utility>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// Computes the normalised rows anew. Inputs and saved values of all nodes here begin with x, the
/// norm's weight and its bias; the norm's statistics are saved after the leaves.
auto normalised(const Tape::Gradients& gradients, float epsilon) {
  return [x = gradients.saved(0).value, weight = gradients.saved(1).value,
          bias = gradients.saved(2).value,
          epsilon](Context& context) { return layer_norm(context, x, weight, bias, epsilon).y; };
}

/// The gradients of x and the norm, `grad` being that of the normalised rows and `past` what came
/// to x past them.
void add_norm_grads(Context& context, const Tensor& statistics, const Tensor& grad,
                    const Tensor& past, Tape::Gradients& gradients) {
  const Tensor weight = gradients.saved(1).value;
  LayerNormGrad grads =
      layer_norm_grad(context, gradients.saved(0).value,
                      cast(context, weight, sums_of(weight.dtype())), statistics, grad, past);
  gradients.add(0, constant(std::move(grads.x)));
  gradients.add(1, constant(std::move(grads.weight)));
  gradients.add(2, constant(std::move(grads.bias)));
}

/// Of the weight (K, N) and the bias, if there is one, that are inputs `weight` and weight + 1; `x`
/// is what was multiplied, or computes it.
template <typename X>
void add_linear_grads(X x, const Tensor& grad, Tape::Gradients& gradients, std::size_t weight,
                      bool biased = true) {
  gradients.add_later(weight, [x = std::move(x), grad](Context& context) {
    const Tensor rows = x(context);
    return matmul_to(context, rows, grad, Product::kTN, sums_of(rows.dtype()));
  });
  if (!biased) return;
  gradients.add_later(weight + 1, [grad](Context& context) { return column_sum(context, grad); });
}

/// residual_mlp(), or without residual path and second bias mlp().
Variable fused_mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                   const LinearLeaves& up, const LinearLeaves& down, bool residual) {
  LayerNorm n = layer_norm(context, x.value, norm.weight.value, norm.bias.value, norm.epsilon);
  LinearActivation inner = linear_activation(context, n.y, up.weight.value, up.bias.value,
                                             Activation::kGelu, tape.recording());
  n.y = {};
  return tape.record(
      residual ? linear_residual(context, inner.y, down.weight.value, down.bias.value, x.value)
               : matmul(context, inner.y, down.weight.value, Product::kNN),
      {x, norm.weight, norm.bias, up.weight, up.bias, down.weight, down.bias},
      {x, norm.weight, norm.bias, up.weight, down.weight, constant(std::move(n.statistics)),
       constant(std::move(inner.before))},
      [epsilon = norm.epsilon, residual](Context& context, const Variable& grad,
                                         Tape::Gradients& gradients) {
        if (residual) gradients.add(0, grad);
        const Variable past = gradients.take(0);
        const Tensor before = gradients.saved(6).value;
        Tensor grad_before = matmul(context, grad.value, gradients.saved(4).value, Product::kNT);
        {
          GeluAndGrad inner = gelu_and_grad(context, before, grad_before);
          grad_before = std::move(inner.grad);
          add_linear_grads([y = std::move(inner.y)](Context&) { return y; }, grad.value, gradients,
                           5, residual);
        }
        add_linear_grads(normalised(gradients, epsilon), grad_before, gradients, 3);
        const Tensor grad_n = matmul(context, grad_before, gradients.saved(3).value, Product::kNT);
        add_norm_grads(context, gradients.saved(5).value, grad_n, past.value, gradients);
      });
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
      {x, norm.weight, norm.bias, product.weight, product.bias},
      {x, norm.weight, norm.bias, product.weight, constant(std::move(n.statistics))},
      [epsilon = norm.epsilon](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Variable past = gradients.take(0);
        add_linear_grads(normalised(gradients, epsilon), grad.value, gradients, 3);
        const Tensor grad_n = matmul(context, grad.value, gradients.saved(3).value, Product::kNT);
        add_norm_grads(context, gradients.saved(4).value, grad_n, past.value, gradients);
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
  return tape.record(matmul_to(context, n.y, table.value, Product::kNT, logits),
                     {x, norm.weight, norm.bias, table},
                     {x, norm.weight, norm.bias, table, constant(std::move(n.statistics))},
                     [epsilon = norm.epsilon, logits](Context& context, const Variable& grad_logits,
                                                      Tape::Gradients& gradients) {
                       const Variable past = gradients.take(0);
                       const Tensor table = gradients.saved(3).value;
                       const Tensor grad = cast(context, grad_logits.value, table.dtype());
                       gradients.add_later(
                           3, [grad, n = normalised(gradients, epsilon), logits](Context& context) {
                             return matmul_to(context, grad, n(context), Product::kTN, logits);
                           });
                       const Tensor grad_n = matmul(context, grad, table, Product::kNN);
                       add_norm_grads(context, gradients.saved(4).value, grad_n, past.value,
                                      gradients);
                     });
}

Variable rms_norm_project(Context& context, Tape& tape, const Variable& x, const Variable& norm,
                          float epsilon, const Variable& table) {
  if (tape.decomposes()) {
    return project(context, tape, rms_norm(context, tape, x, norm, epsilon), table);
  }
  RmsNorm n = rms_norm(context, x.value, norm.value, epsilon);
  const DType logits = sums_of(x.value.dtype());
  return tape.record(
      matmul_to(context, n.y, table.value, Product::kNT, logits), {x, norm, table},
      {x, norm, table, constant(std::move(n.inverse))},
      [epsilon, logits](Context& context, const Variable& grad_logits, Tape::Gradients& gradients) {
        const Tensor x = gradients.saved(0).value;
        const Tensor norm = gradients.saved(1).value;
        const Tensor table = gradients.saved(2).value;
        const Tensor grad = cast(context, grad_logits.value, table.dtype());
        gradients.add_later(2, [x, norm, grad, epsilon, logits](Context& context) {
          return matmul_to(context, grad, rms_norm(context, x, norm, epsilon).y, Product::kTN,
                           logits);
        });
        RmsNormGrad grads =
            rms_norm_grad(context, x, cast(context, norm, sums_of(norm.dtype())),
                          gradients.saved(3).value, matmul(context, grad, table, Product::kNN));
        gradients.add(0, constant(std::move(grads.x)));
        gradients.add(1, constant(std::move(grads.weight)));
      });
}

Variable residual_mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                      const LinearLeaves& up, const LinearLeaves& down) {
  if (tape.decomposes()) {
    Variable m = layer_norm(context, tape, x, norm.weight, norm.bias, norm.epsilon);
    m = gelu(context, tape, linear(context, tape, m, up.weight, up.bias));
    return add(context, tape, x, linear(context, tape, m, down.weight, down.bias));
  }
  return fused_mlp(context, tape, x, norm, up, down, true);
}

Variable mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
             const LinearLeaves& up, const Variable& down) {
  if (tape.decomposes()) {
    Variable m = layer_norm(context, tape, x, norm.weight, norm.bias, norm.epsilon);
    m = gelu(context, tape, linear(context, tape, m, up.weight, up.bias));
    return linear(context, tape, m, down, {});
  }
  return fused_mlp(context, tape, x, norm, up, {down, {}}, false);
}

}  // namespace reef::ops
