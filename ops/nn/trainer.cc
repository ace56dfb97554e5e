#include "ops/nn/trainer.h"

#include <algorithm>
#include <utility>

#include "ops/functional/functional.h"

namespace reef::nn {

using ops::DType;
using ops::Tensor;

Trainer::Trainer(ops::Context& context, const GptConfig& config, Precision precision,
                 std::uint64_t seed)
    : context_(context),
      spec_(gpt_spec(config)),
      stage_(spec_, 0, spec_.layers.size()),
      seed_(seed) {
  for (const Parameter& parameter : stage_.parameters()) {
    const std::string& name = parameter.name;
    const Tensor initial = ops::to_device(context, initial_value(parameter, seed));
    masters_[name] = initial;
    means_[name] = ops::zeros(context, DType::kF32, initial.shape());
    squares_[name] = ops::zeros(context, DType::kF32, initial.shape());
    const bool rounds = precision == Precision::kBF16 && initial.shape().rank() >= 2;
    if (rounds) rounded_[name] = ops::cast(context, initial, DType::kBF16);
    weights_[name] = rounds ? rounded_[name] : initial;
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
  // Tensors that publish rounded weights and those that do not go in calls of their own.
  for (const bool rounds : {true, false}) {
    ops::Update call = factors;
    std::vector<Tensor> gradients, masters, means, squares, weights;
    const auto flush = [&] {
      if (!gradients.empty()) {
        ops::adamw(context_, {gradients, masters, means, squares, weights}, call);
      }
      for (auto* list : {&gradients, &masters, &means, &squares, &weights}) list->clear();
      call.undecayed = {};
    };
    for (const Parameter& parameter : stage_.parameters()) {
      const std::string& name = parameter.name;
      if ((rounded_.count(name) > 0) != rounds) continue;
      const std::size_t at = gradients.size();
      if (!parameter.decay) call.undecayed[at / 64] |= std::uint64_t{1} << (at % 64);
      gradients.push_back(std::exchange(gradients_.at(name), {}));
      masters.push_back(masters_.at(name));
      means.push_back(means_.at(name));
      squares.push_back(squares_.at(name));
      if (rounds) weights.push_back(rounded_.at(name));
      if (gradients.size() == ops::kMaxUpdateTensors) flush();
    }
    flush();
  }
  gradients_.clear();
}

}  // namespace reef::nn
