#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

Result<Signature> infer_unary(Op op, Specs in, const Attributes&) {
  if (in.size() != 1 || !all_floating(in)) return misfit(op, in, "takes one floating tensor");
  return signature({*in[0]});
}

/// Floating only, or also i32 and i64.
template <bool integers>
bool is_number(DType dtype) {
  return is_floating(dtype) || (integers && is_index(dtype));
}

template <bool integers>
Result<Signature> infer_binary(Op op, Specs in, const Attributes&) {
  if (in.size() != 2 || in[0]->dtype != in[1]->dtype || !is_number<integers>(in[0]->dtype)) {
    return misfit(op, in, "takes two tensors of one numeric dtype");
  }
  ATOLL_ASSIGN(const Shape shape, broadcast(op, in, in[0]->shape, in[1]->shape));
  return signature({{shape, in[0]->dtype}});
}

Result<Signature> infer_comparison(Op op, Specs in, const Attributes& attributes) {
  ATOLL_ASSIGN(Signature compared, infer_binary<true>(op, in, attributes));
  compared.outputs[0].dtype = DType::kBool;
  return compared;
}

/// `count` inputs of one spec, `outputs` outputs alike: no broadcasting.
template <std::size_t count, std::size_t outputs>
Result<Signature> infer_same(Op op, Specs in, const Attributes&) {
  bool fits = in.size() == count && all_floating(in);
  for (const TensorSpec* spec : in) fits = fits && *spec == *in[0];
  if (!fits) return misfit(op, in, "takes floating tensors of one shape and dtype");
  Signature result;
  result.count = outputs;
  for (std::size_t i = 0; i < outputs; ++i) result.outputs[i] = *in[0];
  return result;
}

Result<Signature> infer_where(Op op, Specs in, const Attributes&) {
  if (in.size() != 3 || in[0]->dtype != DType::kBool || in[1]->dtype != in[2]->dtype) {
    return misfit(op, in, "takes a bool condition and two tensors of one dtype");
  }
  ATOLL_ASSIGN(const Shape either, broadcast(op, in, in[1]->shape, in[2]->shape));
  ATOLL_ASSIGN(const Shape shape, broadcast(op, in, in[0]->shape, either));
  return signature({{shape, in[1]->dtype}});
}

constexpr Rule kRules[] = {
    {Op::kNeg, "neg", infer_unary, per_element<1>},
    {Op::kAbs, "abs", infer_unary, per_element<1>},
    {Op::kSign, "sign", infer_unary, per_element<1>},
    {Op::kExp, "exp", infer_unary, per_element<16>},
    {Op::kLog, "log", infer_unary, per_element<20>},
    {Op::kSqrt, "sqrt", infer_unary, per_element<4>},
    {Op::kRsqrt, "rsqrt", infer_unary, per_element<8>},
    {Op::kTanh, "tanh", infer_unary, per_element<22>},
    {Op::kSigmoid, "sigmoid", infer_unary, per_element<20>},
    {Op::kErf, "erf", infer_unary, per_element<30>},
    {Op::kSin, "sin", infer_unary, per_element<24>},
    {Op::kCos, "cos", infer_unary, per_element<24>},
    {Op::kSquare, "square", infer_unary, per_element<1>},
    {Op::kRelu, "relu", infer_unary, per_element<1>},
    {Op::kGelu, "gelu", infer_unary, per_element<24>},
    {Op::kSilu, "silu", infer_unary, per_element<21>},
    {Op::kAffine, "affine", infer_unary, per_element<2>},
    {Op::kAdd, "add", infer_binary<true>, per_element<1>},
    {Op::kSub, "sub", infer_binary<true>, per_element<1>},
    {Op::kMul, "mul", infer_binary<true>, per_element<1>},
    {Op::kDiv, "div", infer_binary<false>, per_element<4>},
    {Op::kMaximum, "maximum", infer_binary<true>, per_element<1>},
    {Op::kMinimum, "minimum", infer_binary<true>, per_element<1>},
    {Op::kEqual, "equal", infer_comparison, per_element<1>},
    {Op::kLess, "less", infer_comparison, per_element<1>},
    {Op::kLessEqual, "less_equal", infer_comparison, per_element<1>},
    {Op::kGeluGrad, "gelu_grad", infer_same<2, 1>, per_element<32>},
    {Op::kSiluGrad, "silu_grad", infer_same<2, 1>, per_element<26>},
    {Op::kGeluAndGrad, "gelu_and_grad", infer_same<2, 2>, per_element<34>},
    {Op::kSwiGlu, "swiglu", infer_same<2, 1>, per_element<22>},
    {Op::kSwiGluGrad, "swiglu_grad", infer_same<3, 2>, per_element<28>},
    {Op::kWhere, "where", infer_where, per_element<1>},
};

}  // namespace

std::span<const Rule> pointwise_rules() { return kRules; }

}  // namespace reef::ops
