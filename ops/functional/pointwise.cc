#include "ops/functional/pointwise.h"

#include "ops/functional/call.h"

namespace reef::ops {

Tensor unary(Context& context, Op op, const Tensor& x) {
  return call_one(context, op, std::array{x});
}

Tensor binary(Context& context, Op op, const Tensor& a, const Tensor& b) {
  return call_one(context, op, std::array{a, b});
}

Tensor add(Context& context, const Tensor& a, const Tensor& b) {
  return binary(context, Op::kAdd, a, b);
}

void add_into(Context& context, const Tensor& a, const Tensor& b) {
  const std::array in{a, b};
  std::array<Tensor, 1> out{a};
  run(context, Op::kAdd, in, out, {});
}

Tensor sub(Context& context, const Tensor& a, const Tensor& b) {
  return binary(context, Op::kSub, a, b);
}
Tensor mul(Context& context, const Tensor& a, const Tensor& b) {
  return binary(context, Op::kMul, a, b);
}
Tensor div(Context& context, const Tensor& a, const Tensor& b) {
  return binary(context, Op::kDiv, a, b);
}

Tensor affine(Context& context, const Tensor& x, double scale, double shift) {
  Attributes attributes;
  attributes.scale = scale;
  attributes.shift = shift;
  return call_one(context, Op::kAffine, std::array{x}, attributes);
}

Tensor where(Context& context, const Tensor& condition, const Tensor& a, const Tensor& b) {
  return call_one(context, Op::kWhere, std::array{condition, a, b});
}

Tensor gelu(Context& context, const Tensor& x) { return unary(context, Op::kGelu, x); }
Tensor gelu_grad(Context& context, const Tensor& x, const Tensor& grad) {
  return call_one(context, Op::kGeluGrad, std::array{x, grad});
}
GeluAndGrad gelu_and_grad(Context& context, const Tensor& x, const Tensor& grad) {
  auto out = call<2>(context, Op::kGeluAndGrad, std::array{x, grad});
  return {std::move(out[0]), std::move(out[1])};
}
Tensor silu(Context& context, const Tensor& x) { return unary(context, Op::kSilu, x); }
Tensor silu_grad(Context& context, const Tensor& x, const Tensor& grad) {
  return call_one(context, Op::kSiluGrad, std::array{x, grad});
}
Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up) {
  return call_one(context, Op::kSwiGlu, std::array{gate, up});
}
SwiGluGrad swiglu_grad(Context& context, const Tensor& gate, const Tensor& up, const Tensor& grad) {
  auto out = call<2>(context, Op::kSwiGluGrad, std::array{gate, up, grad});
  return {std::move(out[0]), std::move(out[1])};
}

}  // namespace reef::ops
