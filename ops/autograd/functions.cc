#include "ops/autograd/functions.h"

#include <utility>

#include "ops/catalog/functional.h"

namespace reef::ops {

Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias) {
  return tape.record(matmul(context, x.value, weight.value, Layout::kNN, bias.value),
                     {x, weight, bias}, {x.value},
                     [](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
                       gradients.add(2, column_sum(context, grad));
                       gradients.add(1, matmul(context, gradients.saved(0), grad, Layout::kTN));
                       if (!gradients.wanted(0)) return;
                       gradients.add(0, matmul(context, grad, gradients.weight(1), Layout::kNT));
                     });
}

Variable project(Context& context, Tape& tape, const Variable& x, const Variable& weight) {
  return tape.record(matmul(context, x.value, weight.value, Layout::kNT), {x, weight}, {x.value},
                     [](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
                       gradients.add(1, matmul(context, grad, gradients.saved(0), Layout::kTN));
                       if (!gradients.wanted(0)) return;
                       gradients.add(0, matmul(context, grad, gradients.weight(1), Layout::kNN));
                     });
}

Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& wte,
                   const Variable& wpe) {
  const std::int64_t vocabulary = wte.value.shape()[0];
  const std::int64_t positions = wpe.value.shape()[0];
  return tape.record(
      embedding(context, tokens, wte.value, wpe.value), {wte, wpe}, {tokens},
      [vocabulary, positions](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
        EmbeddingGrad grads =
            embedding_grad(context, gradients.saved(0), grad, vocabulary, positions);
        gradients.add(0, std::move(grads.wte));
        gradients.add(1, std::move(grads.wpe));
      });
}

Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon) {
  LayerNorm result = layer_norm(context, x.value, weight.value, bias.value, epsilon);
  return tape.record(result.y, {x, weight, bias}, {x.value, result.statistics},
                     [](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
                       LayerNormGrad grads =
                           layer_norm_grad(context, gradients.saved(0), gradients.weight(1),
                                           gradients.saved(1), grad);
                       gradients.add(0, std::move(grads.x));
                       gradients.add(1, std::move(grads.weight));
                       gradients.add(2, std::move(grads.bias));
                     });
}

Variable gelu(Context& context, Tape& tape, const Variable& x) {
  return tape.record(gelu(context, x.value), {x}, {x.value},
                     [](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
                       gradients.add(0, gelu_grad(context, gradients.saved(0), grad));
                     });
}

Variable attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                   const Draw& draw) {
  Attention result = attention(context, qkv.value, heads, draw);
  return tape.record(
      result.out, {qkv}, {qkv.value, result.out, result.log_sum_exp},
      [heads, draw](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
        const Attention forward{gradients.saved(1), gradients.saved(2)};
        gradients.add(0, attention_grad(context, gradients.saved(0), forward, grad, heads, draw));
      });
}

Variable add(Context& context, Tape& tape, const Variable& a, const Variable& b) {
  return tape.record(add(context, a.value, b.value), {a, b}, {},
                     [](Context&, const Tensor& grad, Tape::Gradients& gradients) {
                       gradients.add(0, grad);
                       gradients.add(1, grad);
                     });
}

Variable dropout(Context& context, Tape& tape, const Variable& x, const Draw& draw) {
  if (draw.probability <= 0) return x;
  return tape.record(dropout(context, x.value, draw), {x}, {},
                     [draw](Context& context, const Tensor& grad, Tape::Gradients& gradients) {
                       gradients.add(0, dropout(context, grad, draw));
                     });
}

}  // namespace reef::ops
