#pragma once
// What the optimizers' update rules (optimizers.h) are given: prepared once a step in double; each
// factor is rounded to the master's type where it is used. The gradient is first multiplied by
// `grad_scale` (1 / loss scale, clipping).

namespace reef::ops::primitive {

struct AdamWFactors {
  double grad_scale;
  double decay;  ///< 1 - lr * weight_decay
  double beta1, one_minus_beta1, beta2, one_minus_beta2;
  double inverse_sqrt_correction2;  ///< 1 / sqrt(1 - beta2^step)
  double step_size;                 ///< lr / (1 - beta1^step)
  double epsilon;
};

struct SgdFactors {
  double grad_scale, lr, weight_decay, momentum;
  bool nesterov;
};

struct LionFactors {
  double grad_scale;
  double decay;  ///< 1 - lr * weight_decay
  double lr, beta1, one_minus_beta1, beta2, one_minus_beta2;
};

struct AdafactorFactors {
  double grad_scale;
  double decay;  ///< 1 - lr * weight_decay
  double beta2, one_minus_beta2;
  double epsilon;  ///< added to the squares of gradients
};

}  // namespace reef::ops::primitive
