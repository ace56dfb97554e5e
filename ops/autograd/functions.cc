#include "ops/autograd/functions.h"

#include <utility>

#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// Plain tensors as the constants of a vjp.
Variable constant(Tensor value) { return {std::move(value)}; }

}  // namespace

Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias) {
  return tape.record(
      matmul(context, x.value, weight.value, Product::kNN, bias.value), {x, weight, bias}, {x},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(2, constant(column_sum(context, grad.value)));
        gradients.add(1, constant(matmul_to(context, gradients.saved(0).value, grad.value,
                                            Product::kTN, DType::kF32)));
        if (!gradients.wanted(0)) return;
        gradients.add(
            0, constant(matmul(context, grad.value, gradients.weight(1).value, Product::kNT)));
      });
}

Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual) {
  return tape.record(linear_residual(context, x.value, weight.value, bias.value, residual.value),
                     {x, weight, bias, residual}, {x},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(3, grad);
                       gradients.add(2, constant(column_sum(context, grad.value)));
                       gradients.add(1, constant(matmul_to(context, gradients.saved(0).value,
                                                           grad.value, Product::kTN, DType::kF32)));
                       gradients.add(0, constant(matmul(context, grad.value,
                                                        gradients.weight(1).value, Product::kNT)));
                     });
}

Variable project(Context& context, Tape& tape, const Variable& x, const Variable& weight) {
  return tape.record(
      matmul(context, x.value, weight.value, Product::kNT), {x, weight}, {x},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(
            1, constant(matmul(context, grad.value, gradients.saved(0).value, Product::kTN)));
        if (!gradients.wanted(0)) return;
        gradients.add(
            0, constant(matmul(context, grad.value, gradients.weight(1).value, Product::kNN)));
      });
}

Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& wte,
                   const Variable& wpe) {
  const std::int64_t vocabulary = wte.value.shape()[0];
  const std::int64_t positions = wpe.value.shape()[0];
  return tape.record(
      embedding(context, tokens, wte.value, wpe.value), {wte, wpe}, {constant(tokens)},
      [vocabulary, positions](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        EmbeddingGrad grads =
            embedding_grad(context, gradients.saved(0).value, grad.value, vocabulary, positions);
        gradients.add(0, constant(std::move(grads.table)));
        gradients.add(1, constant(std::move(grads.positions)));
      });
}

Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon) {
  LayerNorm result = layer_norm(context, x.value, weight.value, bias.value, epsilon);
  return tape.record(result.y, {x, weight, bias}, {x, constant(result.statistics)},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       LayerNormGrad grads = layer_norm_grad(context, gradients.saved(0).value,
                                                             gradients.weight(1).value,
                                                             gradients.saved(1).value, grad.value);
                       gradients.add(0, constant(std::move(grads.x)));
                       gradients.add(1, constant(std::move(grads.weight)));
                       gradients.add(2, constant(std::move(grads.bias)));
                     });
}

Variable gelu(Context& context, Tape& tape, const Variable& x) {
  return tape.record(gelu(context, x.value), {x}, {x},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(
                           0, constant(gelu_grad(context, gradients.saved(0).value, grad.value)));
                     });
}

Variable attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                   const Draw& draw) {
  AttentionOptions options;
  options.draw = draw;
  Attention result = packed_attention(context, qkv.value, heads, options);
  return tape.record(
      result.out, {qkv}, {qkv, constant(result.out), constant(result.log_sum_exp)},
      [heads, options](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Attention forward{gradients.saved(1).value, gradients.saved(2).value};
        gradients.add(0, constant(packed_attention_grad(context, gradients.saved(0).value, forward,
                                                        grad.value, heads, options)));
      });
}

Variable add(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return tape.record(add(context, a.value, b.value), {a, b}, {},
                     [](Context&, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, grad);
                       gradients.add(1, grad);
                     });
}

Variable dropout(Context& context, Tape& tape, const Variable& x, const Draw& draw) {
  if (draw.probability <= 0) return x;
  return tape.record(dropout(context, x.value, draw), {x}, {},
                     [draw](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, dropout(context, gradients.tape(), grad, draw));
                     });
}

}  // namespace reef::ops
