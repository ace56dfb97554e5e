#pragma once
// The elementwise ops: a formula each, and one loop for all of one arity. NaN goes through
// everything but comparisons.

#include <cmath>
#include <numbers>

#include "ops/catalog/catalog.h"
#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Hendrycks and Gimpel 2016, arXiv 1606.08415: x (1 + tanh(u)) / 2 with u = gelu_inner(x).
inline double gelu_inner(double x) {
  return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
}
inline double gelu(double x) { return 0.5 * x * (1 + std::tanh(gelu_inner(x))); }
inline double gelu_slope(double x) {
  const double t = std::tanh(gelu_inner(x));
  const double inner_slope = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner_slope;
}

inline double silu(double x) { return x * sigmoid(x); }
inline double silu_slope(double x) {
  const double s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

inline double relu(double x) { return x < 0 ? 0 : x; }

/// An op of one input, `op` known when compiled.
template <Op op>
double unary_value(double x, const Attributes& attributes) {
  switch (op) {
    case Op::kNeg:
      return -x;
    case Op::kAbs:
      return std::abs(x);
    case Op::kSign:
      return x > 0 ? 1 : x < 0 ? -1 : x;
    case Op::kExp:
      return std::exp(x);
    case Op::kLog:
      return std::log(x);
    case Op::kSqrt:
      return std::sqrt(x);
    case Op::kRsqrt:
      return 1 / std::sqrt(x);
    case Op::kTanh:
      return std::tanh(x);
    case Op::kSigmoid:
      return sigmoid(x);
    case Op::kErf:
      return std::erf(x);
    case Op::kSin:
      return std::sin(x);
    case Op::kCos:
      return std::cos(x);
    case Op::kSquare:
      return x * x;
    case Op::kRelu:
      return relu(x);
    case Op::kGelu:
      return gelu(x);
    case Op::kSilu:
      return silu(x);
    case Op::kAffine:
      return attributes.scale * x + attributes.shift;
    default:
      CHECK(false) << name_of(op);
      return x;
  }
}

/// An op of two inputs whose result has their type; W is double or std::int64_t.
template <Op op, typename W>
W binary_value(W a, W b) {
  switch (op) {
    case Op::kAdd:
      return a + b;
    case Op::kSub:
      return a - b;
    case Op::kMul:
      return a * b;
    case Op::kDiv:
      return a / b;
    case Op::kMaximum:
      return a > b || a != a ? a : b;
    case Op::kMinimum:
      return a < b || a != a ? a : b;
    case Op::kGeluGrad:
      return static_cast<W>(gelu_slope(static_cast<double>(a))) * b;
    case Op::kSiluGrad:
      return static_cast<W>(silu_slope(static_cast<double>(a))) * b;
    case Op::kSwiGlu:
      return static_cast<W>(silu(static_cast<double>(a))) * b;
    default:
      CHECK(false) << name_of(op);
      return a;
  }
}

/// A comparison.
template <Op op, typename W>
bool compared(W a, W b) {
  return op == Op::kEqual ? a == b : op == Op::kLess ? a < b : a <= b;
}

/// kNeg .. kAffine, any strides.
template <Op op>
void unary(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::size_t rank = x.shape().rank();
    for_places(out.shape(), [&](const Place& place) {
      const double value = x.data<T>()[offset_of(x, place, rank)];
      out.data<T>()[offset_of(out, place, rank)] =
          static_cast<T>(unary_value<op>(value, call.attributes));
    });
  });
}

/// kAdd .. kSwiGlu, any strides, broadcast. `out` may be the first input.
template <Op op>
void binary(const Call& call) {
  constexpr bool compares = op == Op::kEqual || op == Op::kLess || op == Op::kLessEqual;
  const Tensor& a = call.in[0];
  const Tensor& b = call.in[1];
  const Tensor& out = call.out[0];
  with_number(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Result = std::conditional_t<compares, bool, T>;
    const std::size_t rank = out.shape().rank();
    for_places(out.shape(), [&](const Place& place) {
      const Wide<T> left = a.data<T>()[offset_of(a, place, rank)];
      const Wide<T> right = b.data<T>()[offset_of(b, place, rank)];
      Result& result = out.data<Result>()[offset_of(out, place, rank)];
      if constexpr (compares) {
        result = compared<op>(left, right);
      } else {
        result = static_cast<T>(binary_value<op>(left, right));
      }
    });
  });
}

}  // namespace reef::ops::reference
