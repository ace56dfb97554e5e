#include "ops/nn/trainer.h"

#include <utility>

#include "ops/functional/functional.h"

namespace reef::nn {

using ops::Tensor;

Trainer::Trainer(ops::Context& context, const ModelConfig& config, Precision precision,
                 std::uint64_t seed)
    : context_(context),
      spec_(model_spec(config, precision)),
      stage_(spec_, 0, spec_.layers.size()),
      seed_(seed) {
  for (const Parameter& parameter : stage_.parameters()) {
    trained_.push_back(trained(context, parameter, seed));
    masters_[parameter.name] = trained_.back().master;
    weights_[parameter.name] = trained_.back().weight();
  }
}

double Trainer::differentiate(const Tensor& tokens, const Tensor& targets, std::uint64_t step) {
  gradients_.clear();
  std::unique_ptr<ops::Tape> tape;
  LossResult loss;
  {
    const Tensor logits = stage_.forward(context_, weights_, tokens, {seed_, step, 0, true}, &tape);
    loss = cross_entropy(context_, logits, targets, 1.0f / static_cast<float>(targets.elements()),
                         true);
  }
  stage_.backward(context_, weights_, *tape, std::exchange(loss.grad_logits, {}), gradients_);
  for (auto use = gradients_.begin(); use != gradients_.end();) {
    const auto owner = gradients_.find(std::string(parameter_of(use->first)));
    if (owner == use) {
      ++use;
      continue;
    }
    ops::add_into(context_, owner->second, use->second);
    use = gradients_.erase(use);
  }
  return loss.loss_sum / static_cast<double>(loss.tokens);
}

void Trainer::update(const ops::Update& factors) {
  std::vector<Tensor> gradients;
  for (const TrainedParameter& trained : trained_) {
    gradients.push_back(gradients_.at(trained.parameter.name));
  }
  gradients_.clear();
  nn::update(context_, trained_, gradients, factors);
}

}  // namespace reef::nn
