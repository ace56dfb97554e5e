#include "ops/catalog/functional.h"

#include <array>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

/// Runs an op with `count` new outputs.
template <std::size_t count, std::size_t inputs>
std::array<Tensor, count> call(Context& context, Op op, const std::array<Tensor, inputs>& in,
                               const Attributes& attributes = {}) {
  std::array<Tensor, count> out;
  run(context, op, in, out, attributes);
  return out;
}

/// kSquareSum and the losses come as doubles in a byte tensor.
double sum_of_doubles(const Tensor& tensor) {
  const double* values = reinterpret_cast<const double*>(tensor.data<std::uint8_t>());
  double sum = 0;
  for (std::int64_t i = 0; i < tensor.shape().front(); ++i) sum += values[i];
  return sum;
}

}  // namespace

Tensor matmul(Context& context, const Tensor& a, const Tensor& b, Layout layout,
              const Tensor& bias) {
  Attributes attributes;
  attributes.layout = layout;
  if (!bias.defined()) return call<1>(context, Op::kMatmul, std::array{a, b}, attributes)[0];
  return call<1>(context, Op::kMatmul, std::array{a, b, bias}, attributes)[0];
}

Tensor column_sum(Context& context, const Tensor& x) {
  return call<1>(context, Op::kColumnSum, std::array{x})[0];
}

Tensor embedding(Context& context, const Tensor& tokens, const Tensor& wte, const Tensor& wpe) {
  return call<1>(context, Op::kEmbedding, std::array{tokens, wte, wpe})[0];
}

EmbeddingGrad embedding_grad(Context& context, const Tensor& tokens, const Tensor& grad,
                             std::int64_t vocabulary, std::int64_t positions) {
  Attributes attributes;
  attributes.rows = vocabulary;
  attributes.columns = positions;
  auto out = call<2>(context, Op::kEmbeddingGrad, std::array{tokens, grad}, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

LayerNorm layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                     float epsilon) {
  Attributes attributes;
  attributes.epsilon = epsilon;
  auto out = call<2>(context, Op::kLayerNorm, std::array{x, weight, bias}, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

LayerNormGrad layer_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                              const Tensor& statistics, const Tensor& grad) {
  auto out = call<3>(context, Op::kLayerNormGrad, std::array{x, weight, statistics, grad});
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Tensor gelu(Context& context, const Tensor& x) {
  return call<1>(context, Op::kGelu, std::array{x})[0];
}

Tensor gelu_grad(Context& context, const Tensor& x, const Tensor& grad) {
  return call<1>(context, Op::kGeluGrad, std::array{x, grad})[0];
}

Attention attention(Context& context, const Tensor& qkv, std::int64_t heads, const Draw& draw) {
  Attributes attributes;
  attributes.heads = heads;
  attributes.draw = draw;
  auto out = call<2>(context, Op::kAttention, std::array{qkv}, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

Tensor attention_grad(Context& context, const Tensor& qkv, const Attention& forward,
                      const Tensor& grad, std::int64_t heads, const Draw& draw) {
  Attributes attributes;
  attributes.heads = heads;
  attributes.draw = draw;
  return call<1>(context, Op::kAttentionGrad,
                 std::array{qkv, forward.out, forward.log_sum_exp, grad}, attributes)[0];
}

Tensor add(Context& context, const Tensor& a, const Tensor& b) {
  return call<1>(context, Op::kAdd, std::array{a, b})[0];
}

void add_into(Context& context, const Tensor& a, const Tensor& b) {
  const std::array<Tensor, 2> in{a, b};
  std::array<Tensor, 1> out{a};
  run(context, Op::kAdd, in, out, {});
}

CrossEntropy softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                                   float grad_scale, bool want_grad) {
  Attributes attributes;
  attributes.scale = grad_scale;
  CrossEntropy result;
  if (want_grad) {
    auto out = call<2>(context, Op::kCrossEntropyGrad, std::array{logits, targets}, attributes);
    result.loss_sum = sum_of_doubles(out[0]);
    result.grad_logits = std::move(out[1]);
  } else {
    result.loss_sum =
        sum_of_doubles(call<1>(context, Op::kCrossEntropy, std::array{logits, targets})[0]);
  }
  for (const std::int32_t target : targets.values<std::int32_t>()) result.tokens += target >= 0;
  return result;
}

Tensor dropout(Context& context, const Tensor& x, const Draw& draw) {
  if (draw.probability <= 0) return x;
  Attributes attributes;
  attributes.draw = draw;
  return call<1>(context, Op::kDropout, std::array{x}, attributes)[0];
}

Tensor cast(Context& context, const Tensor& x, DType to) {
  if (x.dtype() == to) return x;
  Attributes attributes;
  attributes.to = to;
  return call<1>(context, Op::kCast, std::array{x}, attributes)[0];
}

double square_sum(Context& context, const Tensor& x) {
  return sum_of_doubles(call<1>(context, Op::kSquareSum, std::array{x})[0]);
}

void adamw(Context& context, const Tensor& master, const Tensor& m, const Tensor& v,
           const Tensor& grad, const AdamW& factors) {
  CHECK(factors.step >= 1);
  Attributes attributes;
  attributes.adamw = factors;
  const std::array<Tensor, 1> in{grad};
  std::array<Tensor, 3> out{master, m, v};
  run(context, Op::kAdamW, in, out, attributes);
}

}  // namespace reef::ops
