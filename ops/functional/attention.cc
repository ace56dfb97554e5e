#include "ops/functional/attention.h"

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

Attributes attributes_of(const AttentionOptions& options) {
  Attributes attributes;
  attributes.causal = options.causal;
  attributes.scale = options.scale;
  attributes.draw = options.draw;
  return attributes;
}

Attributes rope_attributes(double base, std::int64_t first, bool reverse) {
  Attributes attributes;
  attributes.scale = base;
  attributes.first = first;
  attributes.reverse = reverse;
  return attributes;
}

}  // namespace

Attention attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionOptions& options) {
  const Attributes attributes = attributes_of(options);
  auto out = options.mask.defined()
                 ? call<2>(context, Op::kAttention, std::array{q, k, v, options.mask}, attributes)
                 : call<2>(context, Op::kAttention, std::array{q, k, v}, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

AttentionGrad attention_grad(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                             const Attention& forward, const Tensor& grad,
                             const AttentionOptions& options, AttentionGrad into) {
  const std::array<Tensor, 7> in{q, k, v, forward.out, forward.log_sum_exp, grad, options.mask};
  std::array<Tensor, 3> out{std::move(into.q), std::move(into.k), std::move(into.v)};
  run(context, Op::kAttentionGrad, std::span(in).first(options.mask.defined() ? 7 : 6), out,
      attributes_of(options));
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Heads unpack_heads(const Tensor& qkv, std::int64_t heads) {
  CHECK(qkv.shape().rank() == 3 && qkv.shape()[2] % (3 * heads) == 0)
      << qkv.shape().text() << " in " << heads << " heads";
  const Tensor parts = qkv.split_axis(2, 3).split_axis(3, heads);  // (B, T, 3, H, D)
  return {parts.select(2, 0), parts.select(2, 1), parts.select(2, 2)};
}

Attention packed_attention(Context& context, const Tensor& qkv, std::int64_t heads,
                           const AttentionOptions& options) {
  const Heads parts = unpack_heads(qkv, heads);
  Attention result = attention(context, parts.q, parts.k, parts.v, options);
  result.out = result.out.reshape(qkv.shape().with_back(qkv.shape()[2] / 3));
  return result;
}

Tensor packed_attention_grad(Context& context, const Tensor& qkv, const Attention& forward,
                             const Tensor& grad, std::int64_t heads,
                             const AttentionOptions& options) {
  const Heads parts = unpack_heads(qkv, heads);
  const Tensor result = Tensor::empty(context.pool(), qkv.dtype(), qkv.shape());
  const Heads grads = unpack_heads(result, heads);
  const Shape& shape = parts.q.shape();
  attention_grad(context, parts.q, parts.k, parts.v,
                 {forward.out.reshape(shape), forward.log_sum_exp}, grad.reshape(shape), options,
                 {grads.q, grads.k, grads.v});
  return result;
}

Tensor rope(Context& context, const Tensor& x, double base, std::int64_t first, bool reverse) {
  return call_one(context, Op::kRope, std::array{x}, rope_attributes(base, first, reverse));
}

Tensor rope(Context& context, const Tensor& x, double base, std::span<const Run> runs,
            bool reverse) {
  const Tensor result = Tensor::empty(context.pool(), x.dtype(), x.shape());
  std::int64_t row = 0;
  for (const Run& place : runs) {
    std::array<Tensor, 1> out{result.narrow(1, row, place.count)};
    run(context, Op::kRope, std::array{x.narrow(1, row, place.count)}, out,
        rope_attributes(base, place.first, reverse));
    row += place.count;
  }
  CHECK_EQ(row, x.shape()[1]);
  return result;
}

}  // namespace reef::ops
