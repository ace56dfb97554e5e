// Elementwise ops of one input.

#include "ops/cuda/kernels.h"
#include "ops/cuda/pointwise.cuh"

namespace reef::ops::cuda {

namespace {

template <typename F>
void apply(const Call& call, const F& f) {
  visit_floating(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, M, 1, M>(call, f);
  });
}

template <typename F>
void unary(const Call& call) {
  apply(call, F{});
}

void affine(const Call& call) {
  apply(call, primitive::Affine{call.attributes.scale, call.attributes.shift});
}

}  // namespace

Kernel unary_kernel(Op op) {
  switch (op) {
    case Op::kNeg:
      return unary<primitive::Neg>;
    case Op::kAbs:
      return unary<primitive::Abs>;
    case Op::kSign:
      return unary<primitive::Sign>;
    case Op::kExp:
      return unary<primitive::Exp>;
    case Op::kLog:
      return unary<primitive::Log>;
    case Op::kSqrt:
      return unary<primitive::Sqrt>;
    case Op::kRsqrt:
      return unary<primitive::Rsqrt>;
    case Op::kTanh:
      return unary<primitive::Tanh>;
    case Op::kSigmoid:
      return unary<primitive::Sigmoid>;
    case Op::kErf:
      return unary<primitive::Erf>;
    case Op::kSin:
      return unary<primitive::Sin>;
    case Op::kCos:
      return unary<primitive::Cos>;
    case Op::kSquare:
      return unary<primitive::Square>;
    case Op::kRelu:
      return unary<primitive::Relu>;
    case Op::kGelu:
      return unary<primitive::Gelu>;
    case Op::kSilu:
      return unary<primitive::Silu>;
    case Op::kAffine:
      return affine;
    default:
      CHECK(false) << "op " << static_cast<int>(op);
      return nullptr;
  }
}

}  // namespace reef::ops::cuda
