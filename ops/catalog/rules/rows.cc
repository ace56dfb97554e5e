#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

/// Norms read weights in f32 beside activations of any floating dtype, or in the same dtype.
bool is_weight(const TensorSpec& spec, const TensorSpec& x) {
  return spec.shape == Shape{x.shape.back()} &&
         (spec.dtype == x.dtype || (spec.dtype == DType::kF32 && x.dtype != DType::kF64));
}

/// Statistics are f32, and f64 beside f64.
DType statistics_of(DType x) { return x == DType::kF64 ? DType::kF64 : DType::kF32; }

bool is_rows(const TensorSpec& spec) {
  return is_floating(spec.dtype) && spec.shape.rank() >= 1 && spec.shape.back() > 0;
}

TensorSpec two_a_row(const TensorSpec& x) {
  return {Shape{x.shape.rows(), 2}, statistics_of(x.dtype)};
}
TensorSpec one_a_row(const TensorSpec& x) {
  return {Shape{x.shape.rows()}, statistics_of(x.dtype)};
}

Result<Signature> infer_layer_norm(Op op, Specs in, const Attributes&) {
  if (in.size() != 3 || !is_rows(*in[0]) || !is_weight(*in[1], *in[0]) || *in[2] != *in[1]) {
    return misfit(op, in, "takes (.., C), weight (C), bias (C)");
  }
  return signature({*in[0], two_a_row(*in[0])});
}

Result<Signature> infer_layer_norm_grad(Op op, Specs in, const Attributes&) {
  const bool fits = (in.size() == 4 || in.size() == 5) && is_rows(*in[0]) &&
                    is_weight(*in[1], *in[0]) && *in[2] == two_a_row(*in[0]) && *in[3] == *in[0] &&
                    (in.size() == 4 || *in[4] == *in[0]);
  if (!fits) return misfit(op, in, "takes x, weight, statistics, grad and perhaps the sum's grad");
  return signature({*in[0], *in[1], *in[1]});
}

Result<Signature> infer_add_layer_norm(Op op, Specs in, const Attributes&) {
  const bool fits = in.size() == 4 && is_rows(*in[0]) && *in[1] == *in[0] &&
                    is_weight(*in[2], *in[0]) && *in[3] == *in[2];
  if (!fits) return misfit(op, in, "takes a and b (.., C), weight (C), bias (C)");
  return signature({*in[0], *in[0], two_a_row(*in[0])});
}

Result<Signature> infer_rms_norm(Op op, Specs in, const Attributes&) {
  if (in.size() != 2 || !is_rows(*in[0]) || !is_weight(*in[1], *in[0])) {
    return misfit(op, in, "takes (.., C), weight (C)");
  }
  return signature({*in[0], one_a_row(*in[0])});
}

Result<Signature> infer_rms_norm_grad(Op op, Specs in, const Attributes&) {
  const bool fits = in.size() == 4 && is_rows(*in[0]) && is_weight(*in[1], *in[0]) &&
                    *in[2] == one_a_row(*in[0]) && *in[3] == *in[0];
  if (!fits) return misfit(op, in, "takes x, weight, inverse, grad");
  return signature({*in[0], *in[1]});
}

/// `count` inputs of one spec; the output is alike.
template <std::size_t count>
Result<Signature> infer_alike(Op op, Specs in, const Attributes&) {
  bool fits = in.size() == count && is_rows(*in[0]);
  for (const TensorSpec* spec : in) fits = fits && *spec == *in[0];
  if (!fits) return misfit(op, in, "takes floating tensors of one shape and dtype, rank >= 1");
  return signature({*in[0]});
}

Result<Signature> infer_cross_entropy(Op op, Specs in, const Attributes&) {
  const bool fits = in.size() == 2 && is_rows(*in[0]) && in[1]->dtype == DType::kI32 &&
                    in[0]->shape.rows() == in[1]->shape.elements();
  if (!fits) return misfit(op, in, "takes (.., V) and as many i32 targets as rows");
  const TensorSpec losses{Shape{in[0]->shape.rows()}, DType::kF64};
  if (op == Op::kCrossEntropy) return signature({losses});
  return signature({losses, *in[0]});
}

constexpr Rule kRules[] = {
    {Op::kLayerNorm, "layer_norm", infer_layer_norm, per_input<8>},
    {Op::kLayerNormGrad, "layer_norm_grad", infer_layer_norm_grad, per_input<16>},
    {Op::kAddLayerNorm, "add_layer_norm", infer_add_layer_norm, per_input<9>},
    {Op::kRmsNorm, "rms_norm", infer_rms_norm, per_input<4>},
    {Op::kRmsNormGrad, "rms_norm_grad", infer_rms_norm_grad, per_input<10>},
    {Op::kSoftmax, "softmax", infer_alike<1>, per_input<18>},
    {Op::kSoftmaxGrad, "softmax_grad", infer_alike<2>, per_input<4>},
    {Op::kLogSoftmax, "log_softmax", infer_alike<1>, per_input<18>},
    {Op::kLogSoftmaxGrad, "log_softmax_grad", infer_alike<2>, per_input<19>},
    {Op::kCrossEntropy, "cross_entropy", infer_cross_entropy, per_input<18>},
    {Op::kCrossEntropyGrad, "cross_entropy_grad", infer_cross_entropy, per_input<20>},
};

}  // namespace

std::span<const Rule> row_rules() { return kRules; }

}  // namespace reef::ops
