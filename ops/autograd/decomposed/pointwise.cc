#include "ops/autograd/decomposed/pointwise.h"

#include <cmath>
#include <numbers>

#include "ops/autograd/functions.h"

namespace reef::ops::decomposed {

Variable gelu(Context& context, Tape& tape, const Variable& x) {
  // x / 2 (1 + tanh(sqrt(2 / pi) x (1 + 0.044715 x^2)))
  const double scale = std::sqrt(2 / std::numbers::pi);
  const Variable bend = affine(context, tape, square(context, tape, x), scale * 0.044715, scale);
  const Variable gate = tanh(context, tape, mul(context, tape, x, bend));
  return mul(context, tape, x, affine(context, tape, gate, 0.5, 0.5));
}

Variable silu(Context& context, Tape& tape, const Variable& x) {
  return mul(context, tape, x, sigmoid(context, tape, x));
}

Variable swiglu(Context& context, Tape& tape, const Variable& gate, const Variable& up) {
  return mul(context, tape, decomposed::silu(context, tape, gate), up);
}

}  // namespace reef::ops::decomposed
