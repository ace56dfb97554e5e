// Elementwise ops of two inputs.

#include "ops/cuda/kernels.h"
#include "ops/cuda/pointwise.cuh"

namespace reef::ops::cuda {

namespace {

/// Of floats and integers.
template <typename F>
void number(const Call& call) {
  visit_number(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, M, 1, M, M>(call, F{});
  });
}

template <typename F>
void floating(const Call& call) {
  visit_floating(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, M, 1, M, M>(call, F{});
  });
}

template <typename F>
void comparison(const Call& call) {
  visit_number(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, Bool, 1, M, M>(call, F{});
  });
}

}  // namespace

void gelu_and_grad(const Call& call) {
  visit_floating(call.in[0].dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    pointwise<Compute<M>, M, 2, M, M>(call, primitive::GeluAndGrad{});
  });
}

Kernel binary_kernel(Op op) {
  switch (op) {
    case Op::kAdd:
      return number<primitive::Add>;
    case Op::kSub:
      return number<primitive::Sub>;
    case Op::kMul:
      return number<primitive::Mul>;
    case Op::kMaximum:
      return number<primitive::Maximum>;
    case Op::kMinimum:
      return number<primitive::Minimum>;
    case Op::kDiv:
      return floating<primitive::Div>;
    case Op::kGeluGrad:
      return floating<primitive::GeluGrad>;
    case Op::kSiluGrad:
      return floating<primitive::SiluGrad>;
    case Op::kSwiGlu:
      return floating<primitive::SwiGlu>;
    default:
      CHECK(false) << "op " << static_cast<int>(op);
      return nullptr;
  }
}

Kernel comparison_kernel(Op op) {
  switch (op) {
    case Op::kEqual:
      return comparison<primitive::Equal>;
    case Op::kLess:
      return comparison<primitive::Less>;
    case Op::kLessEqual:
      return comparison<primitive::LessEqual>;
    default:
      CHECK(false) << "op " << static_cast<int>(op);
      return nullptr;
  }
}

}  // namespace reef::ops::cuda
