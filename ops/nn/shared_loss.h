#pragma once
// The loss of logits whose columns tensor-parallel ranks share out: each says of every token what
// its columns hold, the ranks add that up, and each then has the loss and its columns' gradient
// (the vocabulary-parallel cross-entropy of Shoeybi et al. 2019, arXiv 1909.08053).

#include "ops/nn/spec.h"
#include "ops/nn/stage.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::nn {

/// f32 (2 ranks, N) for N tokens, on the host. Rows 2 r and 2 r + 1 are rank r's: the log-sum-exp
/// of its columns (columns_of(), tensor_rank.h), and the target's logit where it is among them,
/// else 0. Zeros for other ranks, so that the sum over the ranks has every row, unrounded. `logits`
/// f32 (B, T, columns), `targets` i32 (B, T).
ops::Tensor loss_statistics(ops::Context& context, const ModelSpec& spec, const ops::Tensor& logits,
                            const ops::Tensor& targets);

/// cross_entropy() of all columns; the gradient is that of the rank's. `statistics`: the ranks'
/// sum.
LossResult shared_cross_entropy(ops::Context& context, const ModelSpec& spec,
                                const ops::Tensor& logits, const ops::Tensor& targets,
                                const ops::Tensor& statistics, float grad_scale, bool want_grad);

}  // namespace reef::nn
