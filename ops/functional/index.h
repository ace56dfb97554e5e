#pragma once
// Ops that read or write by index. An index out of range ends the process: check what comes from
// outside first.

#include <cstdint>

#include "ops/tensor/context.h"

namespace reef::ops {

/// tokens i32 (B, T), table (V, C) -> (B, T, C); `positions` (P, C), if defined, adds row t.
Tensor embedding(Context& context, const Tensor& tokens, const Tensor& table,
                 const Tensor& positions = {});
struct EmbeddingGrad {
  Tensor table;
  Tensor positions;  ///< undefined for 0 positions
};
/// Rows are added in the order of the tokens, in f32 at least.
EmbeddingGrad embedding_grad(Context& context, const Tensor& tokens, const Tensor& grad,
                             std::int64_t vocabulary, std::int64_t positions);

/// The elements of `axis` at index (N), i32 or i64.
Tensor index_select(Context& context, const Tensor& x, std::size_t axis, const Tensor& index);
/// Zeros with `extent` along `axis`, and source's elements added at index, in order.
Tensor index_add(Context& context, const Tensor& index, const Tensor& source, std::size_t axis,
                 std::int64_t extent);
/// result[.., i, ..] = x[.., index[.., i, ..], ..] along `axis`; as torch.gather.
Tensor gather(Context& context, const Tensor& x, std::size_t axis, const Tensor& index);
/// Zeros with `extent` along `axis`, and source added where gather would have read.
Tensor scatter_add(Context& context, const Tensor& index, const Tensor& source, std::size_t axis,
                   std::int64_t extent);

struct TopK {
  Tensor values;
  Tensor places;  ///< i32
};
/// The k greatest of the last axis, greatest first; of equals the first stands first.
TopK top_k(Context& context, const Tensor& x, std::int64_t k);
/// Place of the first greatest of the last axis, i32.
Tensor arg_max(Context& context, const Tensor& x);

}  // namespace reef::ops
