#include "actors/model/loss.h"

#include <cmath>

#include "actors/teach/lessons.h"
#include "ops/nn/distillation.h"
#include "ops/nn/shared_loss.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

using ops::Tensor;

Loss::Loss(const TaskSetup& setup, std::uint32_t replica)
    : replica_(replica),
      model_(setup.model),
      distillation_(setup.job.distillation),
      lessons_(setup.lessons) {
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
  nn::LossResult loss = nn::cross_entropy(firing.context, logits.tensors[0], targets.tensors[0],
                                          grad_scale_, logits.round.training());
  std::vector<double> report(lessons_ == nullptr ? 0 : kLessonReport);
  if (lessons_ != nullptr && logits.round.training()) ATOLL_TRY(learn(firing, loss, report));
  return give(firing, std::move(loss), std::move(report));
}

/// Adds the teachers' gradient to the data's. The logits are looked at on the host.
Status Loss::learn(Firing& firing, nn::LossResult& loss, std::vector<double>& report) const {
  const Token& input = *firing.inputs[0];
  const Lessons::Heard heard = lessons_->hear({input.round.number, replica_, input.micro});
  const Tensor logits = ops::on_host(firing.context, input.tensors[0]);
  const bool here = ops::is_host(firing.context.device());
  const Tensor gradient =
      here ? loss.grad_logits : Tensor::zeros(ops::Pool::host(), ops::DType::kF32, logits.shape());
  for (std::size_t entry = 0; entry < heard.lessons.size(); ++entry) {
    if (!heard.lessons[entry]) continue;
    const Lessons::Lesson& lesson = *heard.lessons[entry];
    const std::size_t k = distillation_->top_k;
    std::vector<nn::SoftTarget> targets;
    for (std::size_t i = 0; i < lesson.places.size(); ++i) {
      targets.push_back({lesson.places[i], std::span(lesson.said.tokens).subspan(i * k, k),
                         std::span(lesson.said.values).subspan(i * k, k)});
    }
    const double weight =
        distillation_->teachers[entry].weight * job::share_of(*distillation_, input.round.step);
    const double scale = weight * double{grad_scale_};
    report[0] +=
        nn::distil(firing.context, logits, targets, distillation_->temperature, scale, gradient);
    report[1] += static_cast<double>(targets.size());
  }
  report[2] = static_cast<double>(heard.asked);
  report[3] = static_cast<double>(heard.bytes);
  if (!here) {
    ops::add_into(firing.context, loss.grad_logits, ops::on_device(firing.context, gradient));
  }
  return {};
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
Status Loss::give(Firing& firing, nn::LossResult loss, std::vector<double> report) {
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
  if (firing.outputs.size() > 1) {
    std::vector<double>& scalars = firing.outputs[1]->scalars;
    scalars = {loss.loss_sum, static_cast<double>(loss.tokens)};
    scalars.insert(scalars.end(), report.begin(), report.end());
  }
  return {};
}

}  // namespace reef::actors
