#pragma once
// Attention whose memory is linear in the context: the weights exist only as tiles in scratch, are
// normalised while they are summed (online softmax) and computed again in the backward pass from
// the log-sum-exp. The algorithm is FlashAttention-2 (Dao 2023, arXiv 2307.08691).
//
// Head h of the queries reads key-value group h / (heads / groups): multi-head attention has as
// many groups as heads, grouped-query attention fewer.
//
// Order: work is cut by shapes alone and every sum has one order, so that the bits do not depend
// on the number of threads. Numbers: fp32 inside, whatever the element type.
// Memory: scratch from the context's pool. Forward: tiles for each running task. Backward: also
// one float a query row and head, and fp32 sums for dq of at most kMostShares times its size.

#include <cstdint>
#include <optional>

#include "ops/catalog/draw.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::cpu {

/// Elements (sample, time, head, channel) somewhere in memory; channels lie side by side. Packed
/// qkv (B, T, 3 C) is three of these.
template <typename T>
struct Strided {
  T* data = nullptr;
  std::int64_t sample = 0, time = 0, head = 0;  ///< strides, in elements
};
using Source = Strided<const void>;
using Target = Strided<void>;

struct AttentionShape {
  DType dtype = DType::kF32;  ///< of all operands: kF32 or kBF16
  std::int64_t samples = 0, queries = 0, keys = 0;
  std::int64_t heads = 0, groups = 0, width = 0;  ///< heads is a multiple of groups
  /// Query i sees the keys up to i + keys - queries: the last query sees all.
  bool causal = false;
  std::optional<float> scale = {};            ///< of the scores; 1 / sqrt(width) by default
  const std::int32_t* key_lengths = nullptr;  ///< (samples): keys from there on are invisible
  const bool* key_mask = nullptr;             ///< (samples, keys): the visible ones
  /// Dropout of the weights; weight (head, query, key) is element
  /// (head * queries + query) * keys + key of its sample.
  Draw draw = {};
};

/// out (samples, queries, heads, width), log_sum_exp (samples, heads, queries) in natural
/// logarithms. A query that sees no key gets zeros and minus infinity.
void attention_forward(Context& context, const AttentionShape& shape, const Source& q,
                       const Source& k, const Source& v, const Target& out, float* log_sum_exp);

/// How many ways the keys of one group are shared out at most in the backward pass.
inline constexpr std::int64_t kMostShares = 8;

struct AttentionSaved {
  Source q, k, v, out;
  const float* log_sum_exp = nullptr;
};
/// Gradients from `grad`, that of out. The targets may be views of one packed tensor but share no
/// element with each other or with a source. A query that saw no key gets and gives zeros.
void attention_backward(Context& context, const AttentionShape& shape, const AttentionSaved& saved,
                        const Source& grad, const Target& dq, const Target& dk, const Target& dv);

}  // namespace reef::ops::cpu
