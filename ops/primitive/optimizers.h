#pragma once
// The update rules of optimizers, element by element. States come and go in an array of kStates.

#include "ops/primitive/factors.h"
#include "ops/primitive/functors.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

/// Loshchilov and Hutter, arXiv 1711.05101, in torch.optim.AdamW's order. States: mean, square.
struct AdamWRule {
  static constexpr int kStates = 2;
  AdamWFactors f;
  template <typename V>
  ATOLL_PRIMITIVE void operator()(V grad, V& master, V* state) const {
    using T = ElementOf<V>;
    const V g = grad * T(f.grad_scale);
    state[0] = state[0] * T(f.beta1) + g * T(f.one_minus_beta1);
    state[1] = state[1] * T(f.beta2) + g * T(f.one_minus_beta2) * g;
    const V denominator = sqrt(state[1]) * T(f.inverse_sqrt_correction2) + T(f.epsilon);
    master = master * T(f.decay) - (state[0] / denominator) * T(f.step_size);
  }
};

/// As torch.optim.SGD without dampening, in the same order. State: momentum, zero before the first
/// step.
struct SgdRule {
  static constexpr int kStates = 1;
  SgdFactors f;
  template <typename V>
  ATOLL_PRIMITIVE void operator()(V grad, V& master, V* state) const {
    using T = ElementOf<V>;
    const V g = grad * T(f.grad_scale) + master * T(f.weight_decay);
    state[0] = state[0] * T(f.momentum) + g;
    const V step = f.nesterov ? g + state[0] * T(f.momentum) : state[0];
    master = master - step * T(f.lr);
  }
};

/// Chen et al., "Symbolic discovery of optimization algorithms", arXiv 2302.06675. State: momentum.
struct LionRule {
  static constexpr int kStates = 1;
  LionFactors f;
  template <typename V>
  ATOLL_PRIMITIVE void operator()(V grad, V& master, V* state) const {
    using T = ElementOf<V>;
    const V g = grad * T(f.grad_scale);
    const V mixed = state[0] * T(f.beta1) + g * T(f.one_minus_beta1);
    const V direction = Sign{}(mixed);
    master = master * T(f.decay) - direction * T(f.lr);
    state[0] = state[0] * T(f.beta2) + g * T(f.one_minus_beta2);
  }
};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
