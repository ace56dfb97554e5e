#pragma once
// Products on variables. `bias` may be a Variable{} where said.

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"

namespace reef::ops {

// Primitives.

/// a and b seen as matrices, as of ops/functional/dense.h.
Variable matmul(Context& context, Tape& tape, const Variable& a, const Variable& b,
                Product product);
/// (.., M, K) by (.., K, N).
Variable batch_matmul(Context& context, Tape& tape, const Variable& a, const Variable& b,
                      Product product = Product::kNN);

// Fused.

/// x weight + bias, weight (in, out). Without a bias: Variable{}. Keeps x.
Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias);
/// activation(x weight + bias). Keeps x and what stands before the activation.
Variable linear_activation(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                           const Variable& bias, Activation activation);
/// residual + x weight + bias. Keeps x.
Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual);
/// x weight^T, weight (out, in): the language-model head on an embedding table. Keeps x.
Variable project(Context& context, Tape& tape, const Variable& x, const Variable& weight);

}  // namespace reef::ops
