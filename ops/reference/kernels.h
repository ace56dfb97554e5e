#pragma once
// Plain loops, written for reading: what every other backend is compared with. Sums are in double
// (integers: in 64 bits) and rounded once. The unary and binary ops are in pointwise.h.

#include "ops/catalog/catalog.h"

namespace reef::ops::reference {

// Dense
void matmul(const Call& call);
void batch_matmul(const Call& call);
void column_sum(const Call& call);
void linear_cross_entropy(const Call& call);
// Attention
void attention(const Call& call);
void attention_grad(const Call& call);
void rope(const Call& call);
// Rows
void layer_norm(const Call& call);
void layer_norm_grad(const Call& call);
void add_layer_norm(const Call& call);
void rms_norm(const Call& call);
void rms_norm_grad(const Call& call);
void softmax(const Call& call);
void softmax_grad(const Call& call);
void log_softmax(const Call& call);
void log_softmax_grad(const Call& call);
/// Serves kCrossEntropy and, with a second output, kCrossEntropyGrad.
void cross_entropy(const Call& call);
// Index
void embedding(const Call& call);
void embedding_grad(const Call& call);
void index_select(const Call& call);
void index_add(const Call& call);
void gather(const Call& call);
void scatter_add(const Call& call);
void top_k(const Call& call);
void arg_max(const Call& call);
// Pointwise
void gelu_and_grad(const Call& call);
void swiglu_grad(const Call& call);
void where(const Call& call);
// Reductions and scans
void sum(const Call& call);
void max(const Call& call);
void square_sum(const Call& call);
void cum_sum(const Call& call);
// Movement
void fill(const Call& call);
/// Serves kCopy and kCast.
void cast(const Call& call);
void concat(const Call& call);
void pad(const Call& call);
// Random
void dropout(const Call& call);
void uniform(const Call& call);
void normal(const Call& call);
// Images
void conv2d(const Call& call);
void conv2d_input_grad(const Call& call);
void conv2d_weight_grad(const Call& call);
void max_pool2d(const Call& call);
void max_pool2d_grad(const Call& call);
void avg_pool2d(const Call& call);
void avg_pool2d_grad(const Call& call);
// Updates in place
void adamw(const Call& call);
void sgd(const Call& call);
void lion(const Call& call);
void adafactor(const Call& call);

}  // namespace reef::ops::reference
