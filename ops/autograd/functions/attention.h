#pragma once
// Attention and positions on variables. Attention is fused: it keeps its operands, its result and a
// number a query.

#include <cstdint>
#include <vector>

#include "ops/autograd/tape.h"
#include "ops/functional/attention.h"

namespace reef::ops {

/// q (B, T, H, D), k and v (B, S, G, D) -> (B, T, H, D).
Variable attention(Context& context, Tape& tape, const Variable& q, const Variable& k,
                   const Variable& v, const AttentionOptions& options);
/// Self-attention over qkv (B, T, 3C) -> (B, T, C).
Variable packed_attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                          const AttentionOptions& options);
/// The same, causal, as GPT-2 has it.
Variable attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                   const Draw& draw);

/// Keeps nothing: the gradient is turned back. Primitive.
Variable rope(Context& context, Tape& tape, const Variable& x, double base, std::int64_t first = 0,
              bool reverse = false);
/// The same where the rows along T stand at the positions of `runs`, one after another.
Variable rope(Context& context, Tape& tape, const Variable& x, double base,
              const std::vector<Run>& runs, bool reverse = false);

}  // namespace reef::ops
