#include "actors/model/loss.h"

#include <cmath>

#include "ops/nn/stage.h"

namespace reef::actors {
Loss::Loss(const TaskSetup& setup) : config_(setup.job.model) {
  const job::Training& training = setup.job.training;
  // The gradient of the mean over the global batch: every leaf is scaled alike, so leaves only add
  // up.
  grad_scale_ = 1.0f / static_cast<float>(std::uint64_t{training.leaves} *
                                          training.sequences_per_leaf * training.context);
}

Status Loss::run(Firing& firing) const {
  const Token& logits = *firing.inputs[0];
  const Token& targets = *firing.inputs[1];
  if (logits.round != targets.round || logits.micro != targets.micro) {
    return Error{Code::kProto, "loss", "logits and targets belong to different micro-batches"};
  }
  ATOLL_TRY(nn::check_tokens(config_, targets.tensors.at(0)));
  if (targets.tensors[0].elements() * nn::vocabulary_of(config_) !=
      logits.tensors.at(0).elements()) {
    return Error{Code::kTensor, "targets", "are of another shape than the logits"};
  }
  const bool training = logits.round.training();
  nn::LossResult loss = nn::cross_entropy(firing.context, logits.tensors.at(0), targets.tensors[0],
                                          grad_scale_, training);
  if (!std::isfinite(loss.loss_sum)) {
    return Error{Code::kPoison, "step " + std::to_string(logits.round.step),
                 "the loss is not finite; lower the learning rate or the initial range"};
  }
  Token& grad = *firing.outputs[0];
  Token& report = *firing.outputs[1];
  grad.round = report.round = logits.round;
  grad.micro = report.micro = logits.micro;
  grad.empty = !training;
  if (training) grad.tensors = {loss.grad_logits};
  report.scalars = {loss.loss_sum, static_cast<double>(loss.tokens)};
  return {};
}

}  // namespace reef::actors
