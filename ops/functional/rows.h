#pragma once
// Ops over the last axis: norms, softmax, cross-entropy.

#include <cstdint>

#include "ops/tensor/context.h"

namespace reef::ops {

struct LayerNorm {
  Tensor y;
  Tensor statistics;  ///< (rows, 2): mean, 1 / standard deviation
};
LayerNorm layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                     float epsilon);
struct AddLayerNorm {
  Tensor y;
  Tensor sum;  ///< a + b
  Tensor statistics;
};
/// The norm of a sum, in one pass.
AddLayerNorm add_layer_norm(Context& context, const Tensor& a, const Tensor& b,
                            const Tensor& weight, const Tensor& bias, float epsilon);
struct LayerNormGrad {
  Tensor x;
  Tensor weight;
  Tensor bias;
};
/// `sum_grad`, if defined, is what came to x past the norm; it is added to x's gradient.
LayerNormGrad layer_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                              const Tensor& statistics, const Tensor& grad,
                              const Tensor& sum_grad = {});

struct RmsNorm {
  Tensor y;
  Tensor inverse;  ///< (rows): 1 / root mean square
};
/// Zhang and Sennrich 2019, arXiv 1910.07467.
RmsNorm rms_norm(Context& context, const Tensor& x, const Tensor& weight, float epsilon);
struct RmsNormGrad {
  Tensor x;
  Tensor weight;
};
RmsNormGrad rms_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                          const Tensor& inverse, const Tensor& grad);

Tensor softmax(Context& context, const Tensor& x);
Tensor softmax_grad(Context& context, const Tensor& y, const Tensor& grad);
Tensor log_softmax(Context& context, const Tensor& x);
Tensor log_softmax_grad(Context& context, const Tensor& y, const Tensor& grad);

/// Sum of the losses of all rows with a target >= 0, in row order, in double.
struct CrossEntropy {
  double loss_sum = 0;
  std::int64_t tokens = 0;
  Tensor grad_logits;  ///< undefined unless wanted
};
CrossEntropy softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                                   float grad_scale, bool want_grad);

/// The losses of rows, (N) f64, added in order. Waits for the device.
double sum_of_losses(Context& context, const Tensor& losses);
/// Targets that are not negative. Waits for the device.
std::int64_t counted_targets(Context& context, const Tensor& targets);

}  // namespace reef::ops
