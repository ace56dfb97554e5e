#pragma once
// Picking and adding by index, on variables. An index is a constant, i32 or i64.

#include <cstdint>

#include "ops/autograd/tape.h"

namespace reef::ops {

// Primitives: each is the other's gradient.

Variable index_select(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                      const Tensor& index);
Variable index_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                   std::size_t axis, std::int64_t extent);
Variable gather(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                const Tensor& index);
Variable scatter_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                     std::size_t axis, std::int64_t extent);

struct TopKVariable {
  Variable values;
  Tensor places;  ///< i32
};
/// The k greatest of the last axis. The gradient goes to their places.
TopKVariable top_k(Context& context, Tape& tape, const Variable& x, std::int64_t k);

// Fused.

/// tokens i32 (B, T), table (V, C), positions (P, C) or Variable{} -> (B, T, C). Keeps the tokens.
Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& table,
                   const Variable& positions = {});

}  // namespace reef::ops
