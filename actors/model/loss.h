#pragma once
// The loss: cross-entropy of the last stage's logits, and the gradient with which the backward pass
// begins. Acts of the last layer shard: one, or where ranks share the logits' columns two, between
// which the ranks add up what each has seen (ops/nn/shared_loss.h). A student's is also held
// against what its teachers said (ops/nn/distillation.h), for which it waits as its job says.

#include <optional>
#include <vector>

#include "actors/core/factory.h"
#include "ops/nn/stage.h"

namespace reef::actors {

/// Of a student's report, behind the loss and the targets that counted: the teachers' part, how
/// many places it is of and how many were asked about, and the bytes of what they said.
inline constexpr std::size_t kLessonReport = 4;

class Loss {
 public:
  Loss(const TaskSetup& setup, std::uint32_t replica);

  /// logits, targets -> grad logits, report
  Status run(Firing& firing) const;
  /// logits, targets -> judged, statistics
  Status statistics(Firing& firing) const;
  /// judged, statistics of all ranks -> grad logits, [report]
  Status run_shared(Firing& firing) const;

 private:
  Status check(const Firing& firing) const;
  Status learn(Firing& firing, nn::LossResult& loss, std::vector<double>& report) const;
  static Status give(Firing& firing, nn::LossResult loss, std::vector<double> report = {});

  const std::uint32_t replica_;
  const nn::ModelSpec& model_;
  float grad_scale_;
  const std::optional<job::Distillation> distillation_;
  Lessons* const lessons_;
};

}  // namespace reef::actors
