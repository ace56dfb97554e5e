#pragma once
// Random ops on variables.

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"

namespace reef::ops {

/// Keeps nothing: the draw is repeated in backward. Primitive.
Variable dropout(Context& context, Tape& tape, const Variable& x, const Draw& draw);

}  // namespace reef::ops
