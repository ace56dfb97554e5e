#pragma once
// The loss: cross-entropy of the last stage's logits, and the gradient with which the backward pass
// begins. Acts of the last layer shard: one, or where ranks share the logits' columns two, between
// which the ranks add up what each has seen (ops/nn/shared_loss.h).

#include "actors/core/factory.h"
#include "ops/nn/stage.h"

namespace reef::actors {

class Loss {
 public:
  explicit Loss(const TaskSetup& setup);

  /// logits, targets -> grad logits, report
  Status run(Firing& firing) const;
  /// logits, targets -> judged, statistics
  Status statistics(Firing& firing) const;
  /// judged, statistics of all ranks -> grad logits, [report]
  Status run_shared(Firing& firing) const;

 private:
  Status check(const Firing& firing) const;
  static Status give(Firing& firing, nn::LossResult loss);

  const nn::ModelSpec& model_;
  float grad_scale_;
};

}  // namespace reef::actors
