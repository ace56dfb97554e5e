#pragma once
// Norms, softmax and cross-entropy over the last axis as primitives.

#include "ops/autograd/tape.h"

namespace reef::ops::decomposed {

Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon);
Variable rms_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                  float epsilon);
Variable softmax(Context& context, Tape& tape, const Variable& x);
Variable log_softmax(Context& context, Tape& tape, const Variable& x);
/// A f64 scalar: scale times the sum of the losses of rows whose target is not negative.
Variable cross_entropy(Context& context, Tape& tape, const Variable& logits, const Tensor& targets,
                       float scale);

}  // namespace reef::ops::decomposed
