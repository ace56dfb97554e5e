#pragma once
// The loss: cross-entropy of the last stage's logits, and the gradient with which the backward pass
// begins. An act of the last layer shard.

#include "actors/core/factory.h"

namespace reef::actors {

class Loss {
 public:
  explicit Loss(const TaskSetup& setup);

  /// logits, targets -> grad logits, report
  Status run(Firing& firing) const;

 private:
  nn::ModelConfig config_;
  float grad_scale_;
};

}  // namespace reef::actors
