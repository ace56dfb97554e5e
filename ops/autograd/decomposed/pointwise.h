#pragma once
// Activations as primitives.

#include "ops/autograd/tape.h"

namespace reef::ops::decomposed {

Variable gelu(Context& context, Tape& tape, const Variable& x);
Variable silu(Context& context, Tape& tape, const Variable& x);
Variable swiglu(Context& context, Tape& tape, const Variable& gate, const Variable& up);

}  // namespace reef::ops::decomposed
