#pragma once
// Einstein's summation convention, as torch.einsum writes it.

#include <span>
#include <string_view>

#include "ops/tensor/context.h"
#include "runtime/base/error.h"

namespace reef::ops {

/// "bthd,bshd->bhts": a letter names an axis; letters that the result lacks are summed over.
/// Without
/// "->" the result has the letters that stand once, in alphabetical order. "..." stands for any
/// axes, those of different operands aligned at the end.
/// Operands, of one floating dtype, are contracted from left to right, by one batch_matmul each.
/// The result of a single one may be a view. kTensor, naming the label, when the equation does not
/// fit the operands. A label twice in one operand (a diagonal) is refused.
Result<Tensor> einsum(Context& context, std::string_view equation,
                      std::span<const Tensor> operands);

}  // namespace reef::ops
