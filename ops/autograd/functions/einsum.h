#pragma once
// Einsum on variables.

#include <span>
#include <string_view>

#include "ops/autograd/tape.h"
#include "runtime/base/error.h"

namespace reef::ops {

/// As of ops/functional/einsum.h. Primitive: it is made of primitives on any tape.
Result<Variable> einsum(Context& context, Tape& tape, std::string_view equation,
                        std::span<const Variable> operands);

}  // namespace reef::ops
