#pragma once
// Embedding as primitives.

#include "ops/autograd/tape.h"

namespace reef::ops::decomposed {

Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& table,
                   const Variable& positions);

}  // namespace reef::ops::decomposed
