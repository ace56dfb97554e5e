#include "actors/model/loss.h"

#include <cmath>

#include "ops/nn/shared_loss.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

using ops::Tensor;

Loss::Loss(const TaskSetup& setup) : model_(setup.model) {
  const job::Training& training = setup.job.training;
  // The gradient of the mean over the global batch: every leaf is scaled alike, so leaves only add
  // up. Where some targets do not count, it is as much smaller as there are fewer: how many a batch
  // has, no node knows before it is over.
  grad_scale_ = 1.0f / static_cast<float>(std::uint64_t{training.leaves} *
                                          training.sequences_per_leaf * training.context);
}

Status Loss::run(Firing& firing) const {
  const Token& logits = *firing.inputs[0];
  const Token& targets = *firing.inputs[1];
  ATOLL_TRY(check(firing));
  return give(firing, nn::cross_entropy(firing.context, logits.tensors[0], targets.tensors[0],
                                        grad_scale_, logits.round.training()));
}

Status Loss::statistics(Firing& firing) const {
  const Token& logits = *firing.inputs[0];
  const Token& targets = *firing.inputs[1];
  ATOLL_TRY(check(firing));
  for (Token* output : firing.outputs) {
    output->round = logits.round;
    output->micro = logits.micro;
  }
  firing.outputs[0]->tensors = {logits.tensors[0], targets.tensors[0]};
  firing.outputs[1]->tensors = {
      nn::loss_statistics(firing.context, model_, logits.tensors[0], targets.tensors[0])};
  return {};
}

Status Loss::run_shared(Firing& firing) const {
  const Token& judged = *firing.inputs[0];
  const Token& statistics = *firing.inputs[1];
  const Tensor &logits = judged.tensors.at(0), &targets = judged.tensors.at(1);
  const ops::Shape shape{2 * std::int64_t{model_.tensor.ranks}, targets.elements()};
  if (statistics.round != judged.round || statistics.micro != judged.micro ||
      statistics.tensors.at(0).shape() != shape ||
      statistics.tensors[0].dtype() != ops::DType::kF32) {
    return Error{Code::kProto, "loss", "statistics of another micro-batch than the logits"};
  }
  return give(firing, nn::shared_cross_entropy(firing.context, model_, logits, targets,
                                               statistics.tensors[0], grad_scale_,
                                               judged.round.training()));
}

Status Loss::check(const Firing& firing) const {
  const Token& logits = *firing.inputs[0];
  const Token& targets = *firing.inputs[1];
  if (logits.round != targets.round || logits.micro != targets.micro) {
    return Error{Code::kProto, "loss", "logits and targets belong to different micro-batches"};
  }
  ATOLL_TRY(nn::check_targets(model_.config, ops::on_host(firing.context, targets.tensors.at(0))));
  if (targets.tensors[0].elements() * nn::columns_of(model_).count !=
      logits.tensors.at(0).elements()) {
    return Error{Code::kTensor, "targets", "are of another shape than the logits"};
  }
  return {};
}

/// To the first input's micro-batch.
Status Loss::give(Firing& firing, nn::LossResult loss) {
  const Token& input = *firing.inputs[0];
  if (!std::isfinite(loss.loss_sum)) {
    return Error{Code::kPoison, "step " + std::to_string(input.round.step),
                 "the loss is not finite; lower the learning rate or the initial range"};
  }
  for (Token* output : firing.outputs) {
    output->round = input.round;
    output->micro = input.micro;
  }
  firing.outputs[0]->empty = !input.round.training();
  if (input.round.training()) firing.outputs[0]->tensors = {std::move(loss.grad_logits)};
  if (firing.outputs.size() > 1)
    firing.outputs[1]->scalars = {loss.loss_sum, static_cast<double>(loss.tokens)};
  return {};
}

}  // namespace reef::actors
