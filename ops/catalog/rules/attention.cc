#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

bool fits_heads(Specs in) {
  if (in.size() < 3 || !all_floating(in.first(3))) return false;
  const Shape& q = in[0]->shape;
  const Shape& k = in[1]->shape;
  return q.rank() == 4 && k.rank() == 4 && in[2]->shape == k && q[0] == k[0] && q[3] == k[3] &&
         k[2] > 0 && q[2] % k[2] == 0;
}

bool fits_mask(const TensorSpec& mask, const Shape& k) {
  return mask == TensorSpec{Shape{k[0]}, DType::kI32} ||
         mask == TensorSpec{Shape{k[0], k[1]}, DType::kBool};
}

TensorSpec log_sum_exp_of(const Shape& q) { return {Shape{q[0], q[2], q[1]}, DType::kF32}; }

Result<Signature> infer_attention(Op op, Specs in, const Attributes&) {
  if (in.size() < 3 || in.size() > 4 || !fits_heads(in)) {
    return misfit(op, in, "takes q (B, T, H, D), k and v (B, S, G, D) with H a multiple of G");
  }
  if (in.size() == 4 && !fits_mask(*in[3], in[1]->shape)) {
    return misfit(op, in, "a mask is i32 (B) lengths or bool (B, S)");
  }
  return signature({*in[0], log_sum_exp_of(in[0]->shape)});
}

Result<Signature> infer_attention_grad(Op op, Specs in, const Attributes&) {
  if (in.size() < 6 || in.size() > 7 || !fits_heads(in)) {
    return misfit(op, in, "takes q, k, v, out, log-sum-exp, grad and perhaps a mask");
  }
  const bool fits = *in[3] == *in[0] && *in[4] == log_sum_exp_of(in[0]->shape) && *in[5] == *in[0];
  if (!fits || (in.size() == 7 && !fits_mask(*in[6], in[1]->shape))) {
    return misfit(op, in, "results of the forward pass do not fit");
  }
  return signature({*in[0], *in[1], *in[2]});
}

/// `products` of T x S x D for each head; causal: the half that is not masked.
template <int products>
double attention_flops(Op, Specs in, const Signature&, const Attributes& attributes) {
  const double all = 2.0 * products * static_cast<double>(in[0]->shape.elements()) *
                     static_cast<double>(in[1]->shape[1]);
  return attributes.causal ? all / 2 : all;
}

Result<Signature> infer_rope(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 1 && all_floating(in) && in[0]->shape.rank() == 4 &&
                    in[0]->shape.back() % 2 == 0 && attributes.scale > 0 && attributes.first >= 0;
  if (!fits) return misfit(op, in, "takes (B, T, H, D) with D even, and a positive base");
  return signature({*in[0]});
}

constexpr Rule kRules[] = {
    {Op::kAttention, "attention", infer_attention, attention_flops<2>},
    {Op::kAttentionGrad, "attention_grad", infer_attention_grad, attention_flops<5>},
    {Op::kRope, "rope", infer_rope, per_element<4>},
};

}  // namespace

std::span<const Rule> attention_rules() { return kRules; }

}  // namespace reef::ops
