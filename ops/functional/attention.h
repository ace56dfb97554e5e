#pragma once
// Attention and positions.

#include <cstdint>
#include <span>

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"
#include "ops/tensor/run.h"

namespace reef::ops {

/// What a query sees, and with what dropout.
struct AttentionOptions {
  bool causal = true;
  /// Undefined; or how many keys of each sample are there, i32 (B); or which are, bool (B, S).
  Tensor mask;
  float scale = 0;  ///< of the scores; 0: 1 / sqrt(D)
  Draw draw;        ///< dropout of the weights
};

struct Attention {
  Tensor out;          ///< (B, T, H, D)
  Tensor log_sum_exp;  ///< f32 (B, H, T)
};
/// q (B, T, H, D), k and v (B, S, G, D), H a multiple of G (grouped queries: Ainslie et al. 2023,
/// arXiv 2305.13245). Any strides with D contiguous. A query that sees no key gives zeros.
/// Scores are never kept whole (Dao 2023, arXiv 2307.08691).
Attention attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionOptions& options);
struct AttentionGrad {
  Tensor q, k, v;
};
/// Recomputes the weights from log_sum_exp instead of keeping them. `forward` may be of more keys
/// than k and v: then these are its gradients by them, and their part of those by q. Tensors in
/// `into` that are defined are written instead of new ones.
AttentionGrad attention_grad(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                             const Attention& forward, const Tensor& grad,
                             const AttentionOptions& options, AttentionGrad into = {});

/// The views q, k, v (B, T, H, D) of qkv (B, T, 3 H D), as GPT-2 packs them.
struct Heads {
  Tensor q, k, v;
};
Heads unpack_heads(const Tensor& qkv, std::int64_t heads);
/// Self-attention over qkv (B, T, 3C): out is (B, T, C).
Attention packed_attention(Context& context, const Tensor& qkv, std::int64_t heads,
                           const AttentionOptions& options);
/// The gradient of qkv, (B, T, 3C), written without a copy.
Tensor packed_attention_grad(Context& context, const Tensor& qkv, const Attention& forward,
                             const Tensor& grad, std::int64_t heads,
                             const AttentionOptions& options);

/// Rotary positions (Su et al. 2021, arXiv 2104.09864) in the halves form of Llama: x (B, T, H, D),
/// element i of the first half turns with element i of the second by position / base^(2i / D), the
/// positions counting from `first`. `reverse` turns back: the gradient.
Tensor rope(Context& context, const Tensor& x, double base, std::int64_t first = 0,
            bool reverse = false);
/// The same where the rows along T stand at the positions of `runs`, one after another.
Tensor rope(Context& context, const Tensor& x, double base, std::span<const Run> runs,
            bool reverse = false);

}  // namespace reef::ops
