#pragma once
// The ops of ops/functional/functional.h on variables: each computes and, on a recording tape,
// writes down its vjp and no more activations than that needs.

#include <cstdint>

#include "ops/autograd/tape.h"
#include "ops/catalog/catalog.h"

namespace reef::ops {

// `weight`, `bias`, `wte` and `wpe` are leaves.
/// x weight + bias, weight (in, out).
Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias);
/// residual + x weight + bias.
Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual);
/// x weight^T, weight (out, in): the language-model head on an embedding table.
Variable project(Context& context, Tape& tape, const Variable& x, const Variable& weight);
Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& wte,
                   const Variable& wpe);
Variable layer_norm(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                    const Variable& bias, float epsilon);
Variable gelu(Context& context, Tape& tape, const Variable& x);
Variable attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                   const Draw& draw);
Variable add(Context& context, Tape& tape, const Variable& a, const Variable& b);
/// Keeps nothing: the draw is repeated in backward.
Variable dropout(Context& context, Tape& tape, const Variable& x, const Draw& draw);

}  // namespace reef::ops
