#pragma once
// Ops as functions: tensors in, new tensors out. Every one goes through the catalog, so callers
// never name a backend. A shape that does not fit is a bug of the caller and ends the process.

#include <cstdint>
#include <utility>

#include "ops/catalog/catalog.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::ops {

/// a and b seen as matrices (all extents but the last are rows); `bias` of b's columns may be
/// undefined. The result keeps a's leading extents, except for kTN.
Tensor matmul(Context& context, const Tensor& a, const Tensor& b, Layout layout,
              const Tensor& bias = {});
/// (.., C) -> (C), rows added in order.
Tensor column_sum(Context& context, const Tensor& x);

/// tokens i32 (B, T), wte (V, C), wpe (P, C) -> (B, T, C).
Tensor embedding(Context& context, const Tensor& tokens, const Tensor& wte, const Tensor& wpe);
struct EmbeddingGrad {
  Tensor wte;
  Tensor wpe;
};
EmbeddingGrad embedding_grad(Context& context, const Tensor& tokens, const Tensor& grad,
                             std::int64_t vocabulary, std::int64_t positions);

struct LayerNorm {
  Tensor y;
  Tensor statistics;  ///< (rows, 2): mean, 1 / standard deviation
};
LayerNorm layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                     float epsilon);
struct LayerNormGrad {
  Tensor x;
  Tensor weight;
  Tensor bias;
};
LayerNormGrad layer_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                              const Tensor& statistics, const Tensor& grad);

Tensor gelu(Context& context, const Tensor& x);
Tensor gelu_grad(Context& context, const Tensor& x, const Tensor& grad);

struct Attention {
  Tensor out;          ///< (B, T, C)
  Tensor log_sum_exp;  ///< (B, H, T)
};
/// Causal self-attention over qkv (B, T, 3C) with dropout of the weights by `draw`.
Attention attention(Context& context, const Tensor& qkv, std::int64_t heads, const Draw& draw = {});
/// Recomputes the weights from log_sum_exp instead of keeping them.
Tensor attention_grad(Context& context, const Tensor& qkv, const Attention& forward,
                      const Tensor& grad, std::int64_t heads, const Draw& draw = {});

Tensor add(Context& context, const Tensor& a, const Tensor& b);
/// a += b, the same bits as `add`.
void add_into(Context& context, const Tensor& a, const Tensor& b);

/// Sum of the losses of all rows with a target >= 0, in row order, in double.
struct CrossEntropy {
  double loss_sum = 0;
  std::int64_t tokens = 0;
  Tensor grad_logits;  ///< undefined unless wanted
};
CrossEntropy softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                                   float grad_scale, bool want_grad);

/// Scales what stays by 1 / (1 - p). Axis 0 counts samples. Give the same draw for the gradient.
Tensor dropout(Context& context, const Tensor& x, const Draw& draw);

/// Between f32 and bf16, to nearest even; NaN stays NaN.
Tensor cast(Context& context, const Tensor& x, DType to);
/// Sum of squares in double: blocks of kSquareSumBlock elements, added in order.
double square_sum(Context& context, const Tensor& x);
/// One AdamW update in place: decoupled decay, bias correction, as torch.optim.AdamW.
void adamw(Context& context, const Tensor& master, const Tensor& m, const Tensor& v,
           const Tensor& grad, const AdamW& factors);

}  // namespace reef::ops
