#pragma once
// Pieces of a transformer block as single nodes of the tape. Each keeps less than its parts would:
// what one cheap pass gives again (a normalised row, an activation) is computed again in backward.
// On a tape that decomposes they are their parts.

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"

namespace reef::ops {

/// Parameters of a norm and of a product, as leaves.
struct NormLeaves {
  Variable weight, bias;
  float epsilon = 1e-5f;
};
struct LinearLeaves {
  Variable weight, bias;
};

/// linear(layer_norm(x)). Keeps x and two numbers a row.
Variable norm_linear(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                     const LinearLeaves& linear);

/// layer_norm(x) table^T in f32, table (V, C): GPT-2's head on its token embedding. Keeps as
/// norm_linear.
Variable norm_project(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                      const Variable& table);

/// rms_norm(x) table^T in f32, table (V, C): Llama's head. Keeps x and a number a row.
Variable rms_norm_project(Context& context, Tape& tape, const Variable& x, const Variable& norm,
                          float epsilon, const Variable& table);

/// x + linear(gelu(linear(layer_norm(x)))): the second half of a GPT-2 block. Keeps x, two numbers
/// a row, and what stands before the activation.
Variable residual_mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
                      const LinearLeaves& up, const LinearLeaves& down);

/// linear(gelu(linear(layer_norm(x)))) without the second bias: a summand of the above, where ranks
/// share the inner channels. Keeps as much.
Variable mlp(Context& context, Tape& tape, const Variable& x, const NormLeaves& norm,
             const LinearLeaves& up, const Variable& down);

}  // namespace reef::ops
