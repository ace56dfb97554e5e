#pragma once
// Fused products as primitives.

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"

namespace reef::ops::decomposed {

Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias);
Variable linear_activation(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                           const Variable& bias, Activation activation);
Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual);

}  // namespace reef::ops::decomposed
