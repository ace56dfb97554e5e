#pragma once
// Norms and softmax over the last axis, on variables. Fused.

#include "ops/autograd/tape.h"

namespace reef::ops {

/// Keeps x and two numbers a row.
Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon);
struct SumAndNorm {
  Variable sum;   ///< a + b
  Variable norm;  ///< layer_norm of it
};
/// In one pass; keeps the sum and two numbers a row. Backward adds what came to the sum past the
/// norm in the pass of the norm's gradient.
SumAndNorm add_layer_norm(Context& context, Tape& tape, const Variable& a, const Variable& b,
                          const Variable& weight, const Variable& bias, float epsilon);
/// Keeps x and a number a row.
Variable rms_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                  float epsilon);
/// Keeps its result.
Variable softmax(Context& context, Tape& tape, const Variable& x);
Variable log_softmax(Context& context, Tape& tape, const Variable& x);

}  // namespace reef::ops
