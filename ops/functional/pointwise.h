#pragma once
// Elementwise ops. Two inputs broadcast against each other: axes aligned at the end, extents equal
// or 1.

#include "ops/catalog/op.h"
#include "ops/tensor/context.h"

namespace reef::ops {

/// Any op of one floating input: kNeg .. kSilu.
Tensor unary(Context& context, Op op, const Tensor& x);
/// Any op of two broadcast inputs: kAdd .. kLessEqual.
Tensor binary(Context& context, Op op, const Tensor& a, const Tensor& b);

Tensor add(Context& context, const Tensor& a, const Tensor& b);
/// a += b, the same bits as `add`.
void add_into(Context& context, const Tensor& a, const Tensor& b);
Tensor sub(Context& context, const Tensor& a, const Tensor& b);
Tensor mul(Context& context, const Tensor& a, const Tensor& b);
Tensor div(Context& context, const Tensor& a, const Tensor& b);
/// scale x + shift.
Tensor affine(Context& context, const Tensor& x, double scale, double shift = 0);
/// `a` where the bool condition holds, else `b`.
Tensor where(Context& context, const Tensor& condition, const Tensor& a, const Tensor& b);

Tensor gelu(Context& context, const Tensor& x);
Tensor gelu_grad(Context& context, const Tensor& x, const Tensor& grad);
struct GeluAndGrad {
  Tensor y;     ///< gelu(x)
  Tensor grad;  ///< of x
};
/// Both from one exponential, for a backward pass that did not keep gelu(x).
GeluAndGrad gelu_and_grad(Context& context, const Tensor& x, const Tensor& grad);
Tensor silu(Context& context, const Tensor& x);
Tensor silu_grad(Context& context, const Tensor& x, const Tensor& grad);
/// silu(gate) up: Shazeer 2020, arXiv 2002.05202.
Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up);
struct SwiGluGrad {
  Tensor gate;
  Tensor up;
};
SwiGluGrad swiglu_grad(Context& context, const Tensor& gate, const Tensor& up, const Tensor& grad);

}  // namespace reef::ops
