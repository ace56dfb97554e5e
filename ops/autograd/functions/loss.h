#pragma once
// Losses on variables: f64 scalars. Their value waits for the device.

#include "ops/autograd/tape.h"

namespace reef::ops {

/// scale times the sum of the losses of the rows of logits (.., V) whose target, i32, is not
/// negative. Keeps the gradient of the logits, which is made in the pass of the losses.
Variable cross_entropy(Context& context, Tape& tape, const Variable& logits, const Tensor& targets,
                       float scale);
/// The same of logits x weight^T, x (.., C) and weight (V, C), which are never whole in memory.
/// Keeps the gradients of x and weight.
Variable linear_cross_entropy(Context& context, Tape& tape, const Variable& x,
                              const Variable& weight, const Tensor& targets, float scale);

}  // namespace reef::ops
