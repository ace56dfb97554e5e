#pragma once
// Elementwise ops on variables. Two inputs broadcast against each other; the gradient of what was
// repeated is summed. Where a function has a corner its slope there is said.

#include "ops/autograd/tape.h"

namespace reef::ops {

// Primitives of one input. Each keeps x or its result, whichever gives the slope.

Variable neg(Context& context, Tape& tape, const Variable& x);
/// Slope 0 at 0.
Variable abs(Context& context, Tape& tape, const Variable& x);
Variable exp(Context& context, Tape& tape, const Variable& x);
Variable log(Context& context, Tape& tape, const Variable& x);
Variable sqrt(Context& context, Tape& tape, const Variable& x);
Variable rsqrt(Context& context, Tape& tape, const Variable& x);
Variable tanh(Context& context, Tape& tape, const Variable& x);
Variable sigmoid(Context& context, Tape& tape, const Variable& x);
Variable erf(Context& context, Tape& tape, const Variable& x);
Variable sin(Context& context, Tape& tape, const Variable& x);
Variable cos(Context& context, Tape& tape, const Variable& x);
Variable square(Context& context, Tape& tape, const Variable& x);
/// Slope 0 at 0.
Variable relu(Context& context, Tape& tape, const Variable& x);
/// scale x + shift.
Variable affine(Context& context, Tape& tape, const Variable& x, double scale, double shift = 0);

// Primitives of two inputs.

Variable add(Context& context, Tape& tape, const Variable& a, const Variable& b);
Variable sub(Context& context, Tape& tape, const Variable& a, const Variable& b);
Variable mul(Context& context, Tape& tape, const Variable& a, const Variable& b);
Variable div(Context& context, Tape& tape, const Variable& a, const Variable& b);
/// Of equals each gets half of the gradient, as torch.maximum.
Variable maximum(Context& context, Tape& tape, const Variable& a, const Variable& b);
Variable minimum(Context& context, Tape& tape, const Variable& a, const Variable& b);
/// `a` where the bool condition holds, else `b`.
Variable where(Context& context, Tape& tape, const Tensor& condition, const Variable& a,
               const Variable& b);

// Fused.

/// The tanh form of GPT-2. Keeps x.
Variable gelu(Context& context, Tape& tape, const Variable& x);
Variable silu(Context& context, Tape& tape, const Variable& x);
/// silu(gate) up. Keeps both.
Variable swiglu(Context& context, Tape& tape, const Variable& gate, const Variable& up);

}  // namespace reef::ops
