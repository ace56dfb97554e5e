#pragma once
// Products.

#include <cstdint>

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"

namespace reef::ops {

/// a and b seen as matrices (all extents but the last are rows); `bias` of b's columns may be
/// undefined. The result keeps a's leading extents, except for kTN.
Tensor matmul(Context& context, const Tensor& a, const Tensor& b, Product product,
              const Tensor& bias = {});
/// The same with a result in `to`: f32 sums of bf16 operands, for gradients of weights.
Tensor matmul_to(Context& context, const Tensor& a, const Tensor& b, Product product, DType to);

struct LinearActivation {
  Tensor y;       ///< activation(x weight + bias)
  Tensor before;  ///< x weight + bias; undefined unless kept
};
/// A product with its activation fused. Backward needs `before`.
LinearActivation linear_activation(Context& context, const Tensor& x, const Tensor& weight,
                                   const Tensor& bias, Activation activation, bool keep);
/// residual + x weight + bias, in one pass over the result.
Tensor linear_residual(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& residual);

/// a (.., M, K), b (.., K, N) -> (.., M, N); kNT and kTN transpose the last two axes of b or a. Any
/// strides.
Tensor batch_matmul(Context& context, const Tensor& a, const Tensor& b,
                    Product product = Product::kNN);

/// (.., C) -> (C), rows added in order; f32 sums of bf16 and f16.
Tensor column_sum(Context& context, const Tensor& x);

struct LinearCrossEntropy {
  double loss_sum = 0;
  std::int64_t tokens = 0;
  Tensor grad_x;       ///< (.., C)
  Tensor grad_weight;  ///< (V, C), f32 for bf16 and f16
};
/// The language-model head and its loss in one: logits x weight^T are made, used and dropped a
/// block of rows at a time, so memory does not grow with rows x V. Gradients are those of
/// grad_scale * loss_sum. A negative target counts for nothing.
LinearCrossEntropy linear_cross_entropy(Context& context, const Tensor& x, const Tensor& weight,
                                        const Tensor& targets, float grad_scale);

}  // namespace reef::ops
