#pragma once
// Reductions and scans on variables. Primitives.

#include "ops/autograd/tape.h"
#include "ops/functional/reduce.h"

namespace reef::ops {

/// Over `axes`, which stay with extent 1.
Variable sum(Context& context, Tape& tape, const Variable& x, Axes axes);
/// Adds up what broadcasting from `shape` would repeat.
Variable sum_to(Context& context, Tape& tape, const Variable& x, const Shape& shape);
/// Greatest over `axes`, which stay with extent 1. Of equals each gets an equal part of the
/// gradient, as torch.amax.
Variable max(Context& context, Tape& tape, const Variable& x, Axes axes);
/// Running sums along an axis, or from its end.
Variable cum_sum(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                 bool reverse = false);
/// (.., C) -> (C), f32 of bf16 and f16.
Variable column_sum(Context& context, Tape& tape, const Variable& x);

}  // namespace reef::ops
