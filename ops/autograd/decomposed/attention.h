#pragma once
// Attention as primitives: the scores are whole tensors here, (B, H, T, S).

#include "ops/autograd/tape.h"
#include "ops/functional/attention.h"

namespace reef::ops::decomposed {

Variable attention(Context& context, Tape& tape, const Variable& q, const Variable& k,
                   const Variable& v, const AttentionOptions& options);
Variable packed_attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                          const AttentionOptions& options);

}  // namespace reef::ops::decomposed
