#pragma once
// The kernels of this folder, as the table names them. Each queues its work on the call's stream
// and returns; outputs are allocated.

#include "ops/catalog/catalog.h"

namespace reef::ops::cuda {

// matmul.cu, columns.cu, linear_cross_entropy.cu
void matmul(const Call& call);
void batch_matmul(const Call& call);
void column_sum(const Call& call);
void linear_cross_entropy(const Call& call);
// attention.cu, rope.cu
void attention(const Call& call);
void attention_grad(const Call& call);
void rope(const Call& call);
// norm.cu
void layer_norm(const Call& call);
void layer_norm_grad(const Call& call);
void add_layer_norm(const Call& call);
void rms_norm(const Call& call);
void rms_norm_grad(const Call& call);
// softmax.cu
void softmax(const Call& call);
void softmax_grad(const Call& call);
void log_softmax(const Call& call);
void log_softmax_grad(const Call& call);
/// Serves kCrossEntropy and, with a second output, kCrossEntropyGrad.
void cross_entropy(const Call& call);
// index.cu, top_k.cu
void embedding(const Call& call);
void embedding_grad(const Call& call);
void index_select(const Call& call);
void index_add(const Call& call);
void gather(const Call& call);
void scatter_add(const Call& call);
void top_k(const Call& call);
void arg_max(const Call& call);
// unary.cu, binary.cu, ternary.cu: the kernel of a pointwise op
Kernel unary_kernel(Op op);
Kernel binary_kernel(Op op);
Kernel comparison_kernel(Op op);
void gelu_and_grad(const Call& call);
void swiglu_grad(const Call& call);
void where(const Call& call);
// reduce.cu
void sum(const Call& call);
void max(const Call& call);
void square_sum(const Call& call);
void cum_sum(const Call& call);
// move.cu
void fill(const Call& call);
void copy(const Call& call);
void cast(const Call& call);
void concat(const Call& call);
void pad(const Call& call);
// random.cu
void dropout(const Call& call);
void uniform(const Call& call);
void normal(const Call& call);
// conv2d.cu, pool2d.cu
void conv2d(const Call& call);
void conv2d_input_grad(const Call& call);
void conv2d_weight_grad(const Call& call);
void max_pool2d(const Call& call);
void max_pool2d_grad(const Call& call);
void avg_pool2d(const Call& call);
void avg_pool2d_grad(const Call& call);
// update.cu, adafactor.cu
void adamw(const Call& call);
void sgd(const Call& call);
void lion(const Call& call);
void adafactor(const Call& call);

}  // namespace reef::ops::cuda
