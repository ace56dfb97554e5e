#pragma once
// The elementwise ops, each one function over values: lanes on a CPU, scalars on CUDA. A driver
// (ops/cpu/isa/pointwise.cc, ops/cuda/elementwise.cuh) brings the layout and the element types.
// Comparisons give 0 or 1. NaN goes through everything except comparisons.

#include "ops/primitive/math.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

#define ATOLL_UNARY(name, expression)          \
  struct name {                                \
    template <typename V>                      \
    ATOLL_PRIMITIVE V operator()(V x) const {  \
      using T [[maybe_unused]] = ElementOf<V>; \
      return expression;                       \
    }                                          \
  };
#define ATOLL_BINARY(name, expression)             \
  struct name {                                    \
    template <typename V>                          \
    ATOLL_PRIMITIVE V operator()(V a, V b) const { \
      using T [[maybe_unused]] = ElementOf<V>;     \
      return expression;                           \
    }                                              \
  };
template <typename V>
ATOLL_PRIMITIVE V zero() {
  return all<V>(ElementOf<V>(0));
}
template <typename V>
ATOLL_PRIMITIVE V one() {
  return all<V>(ElementOf<V>(1));
}

// Of floats and integers.
ATOLL_UNARY(Copy, x)
ATOLL_UNARY(Neg, -x)
ATOLL_UNARY(Square, x* x)
ATOLL_UNARY(Relu, select(x < T(0), zero<V>(), x))
ATOLL_UNARY(Sign, select(x < T(0), all<V>(T(-1)), select(x > T(0), one<V>(), x)))
ATOLL_BINARY(Add, a + b)
ATOLL_BINARY(Sub, a - b)
ATOLL_BINARY(Mul, a* b)
ATOLL_BINARY(Maximum, select((a > b) | (a != a), a, b))
ATOLL_BINARY(Minimum, select((a < b) | (a != a), a, b))
ATOLL_BINARY(Equal, select(a == b, one<V>(), zero<V>()))
ATOLL_BINARY(Less, select(a < b, one<V>(), zero<V>()))
ATOLL_BINARY(LessEqual, select(a <= b, one<V>(), zero<V>()))

// Of floats.
ATOLL_UNARY(Exp, exp(x))
ATOLL_UNARY(Log, log(x))
ATOLL_UNARY(Sqrt, sqrt(x))
ATOLL_UNARY(Rsqrt, rsqrt(x))
ATOLL_UNARY(Tanh, tanh(x))
ATOLL_UNARY(Sigmoid, sigmoid(x))
ATOLL_UNARY(Erf, erf(x))
ATOLL_UNARY(Sin, sin(x))
ATOLL_UNARY(Cos, cos(x))
ATOLL_UNARY(Silu, x* sigmoid(x))
ATOLL_BINARY(Div, a / b)

struct Abs {
  template <typename V>
  ATOLL_PRIMITIVE V operator()(V x) const {
    if constexpr (requires { Format<ElementOf<V>>::kBias; }) {
      return abs(x);
    } else {
      return select(x < ElementOf<V>(0), -x, x);
    }
  }
};

/// x * scale + shift.
struct Affine {
  double scale, shift;
  template <typename V>
  ATOLL_PRIMITIVE V operator()(V x) const {
    using T = ElementOf<V>;
    return x * static_cast<T>(scale) + static_cast<T>(shift);
  }
};

// gelu(x) = x (1 + tanh(u)) / 2 = x sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3)
// (Hendrycks and Gimpel, arXiv 1606.08415): one exponential, no cancellation for negative x.
template <typename V>
ATOLL_PRIMITIVE V gelu_gate(V x) {
  using T = ElementOf<V>;
  const V minus_two_u = -(x + x * x * x * T(0.044715)) * (T(0.7978845608028654) * T(2));
  // At 80 the gate is 2e-35: further out it would only become denormal.
  return one<V>() / (exp_bounded(at_most(T(80), minus_two_u)) + T(1));
}
// Below -20 the true value is less than 1e-170, but the gate's is not.
ATOLL_UNARY(Gelu, select(x < T(-20), zero<V>(), x* gelu_gate(x)))

/// The derivative, `gate` being that of min(x, 20): the slope is 1 from there on.
template <typename V>
ATOLL_PRIMITIVE V gelu_slope(V x, V gate) {
  using T = ElementOf<V>;
  const V y = at_most(T(20), x);
  const V two_u_slope = (y * y * (T(0.044715) * T(3)) + T(1)) * (T(0.7978845608028654) * T(2));
  const V slope = gate + y * gate * (one<V>() - gate) * two_u_slope;
  return select(x < T(-20), zero<V>(), slope);
}

struct GeluGrad {
  template <typename V>
  ATOLL_PRIMITIVE V operator()(V x, V grad) const {
    using T = ElementOf<V>;
    return grad * gelu_slope(x, gelu_gate(at_most(T(20), x)));
  }
};

/// Bits of y are those of Gelu, whose gate is 1 from 20 on.
struct GeluAndGrad {
  template <typename V>
  ATOLL_PRIMITIVE void operator()(V x, V grad, V& y, V& x_grad) const {
    using T = ElementOf<V>;
    const V gate = gelu_gate(at_most(T(20), x));
    y = select(x < T(-20), zero<V>(), x * gate);
    x_grad = grad * gelu_slope(x, gate);
  }
};

/// With s = sigmoid(x): s (1 + x (1 - s)).
template <typename V>
ATOLL_PRIMITIVE V silu_slope(V x, V s) {
  using T = ElementOf<V>;
  // 1 - s is 0 from here on, and infinity times 0 would not be.
  const V y = select(x > T(100), all<V>(T(100)), select(x < T(-1000), all<V>(T(-1000)), x));
  return s * (y * (one<V>() - s) + T(1));
}
ATOLL_BINARY(SiluGrad, b* silu_slope(a, sigmoid(a)))

/// silu(gate) up (Shazeer, arXiv 2002.05202).
ATOLL_BINARY(SwiGlu, Silu{}(a)*b)

struct SwiGluGrad {
  template <typename V>
  ATOLL_PRIMITIVE void operator()(V gate, V up, V grad, V& gate_grad, V& up_grad) const {
    const V s = sigmoid(gate);
    gate_grad = silu_slope(gate, s) * up * grad;
    up_grad = gate * s * grad;
  }
};

/// condition != 0 ? a : b.
struct Where {
  template <typename V>
  ATOLL_PRIMITIVE V operator()(V condition, V a, V b) const {
    return select(condition != ElementOf<V>(0), a, b);
  }
};

#undef ATOLL_UNARY
#undef ATOLL_BINARY

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
