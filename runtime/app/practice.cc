#include "runtime/app/practice.h"

#include <algorithm>
#include <string>

#include "runtime/base/random.h"

namespace reef::app {

namespace {

ops::Tensor made_up(ops::Context& context, const ops::Shape& shape, std::int64_t vocabulary,
                    const std::string& name) {
  const Random random(1, "practice/" + name);
  const auto tensor = ops::Tensor::empty(context.pool(), ops::DType::kI32, shape);
  std::uint64_t i = 0;
  for (std::int32_t& token : tensor.values<std::int32_t>()) {
    token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary), 0, i++));
  }
  return tensor;
}

}  // namespace

Practice::Practice(ops::Context& context, const nn::ModelConfig& config, nn::Precision precision,
                   std::int64_t sequences, std::int64_t length)
    : trainer_(context, config, precision, 1),
      tokens_(made_up(context, {sequences, length}, nn::vocabulary_of(config), "tokens")),
      targets_(made_up(context, {sequences, length}, nn::vocabulary_of(config), "targets")) {}

void Practice::differentiate() {
  ++steps_;
  trainer_.differentiate(tokens_, targets_, static_cast<std::uint64_t>(steps_));
}

void Practice::update() { trainer_.update({.lr = 1e-4f, .step = steps_}); }

int practise(Practice& practice, const ops::tune::Tuner& tuner, int limit) {
  for (int steps = 1; steps <= limit; ++steps) {
    practice.step();
    const auto decisions = tuner.decisions();
    const bool open = std::any_of(decisions.begin(), decisions.end(), [](const auto& decision) {
      return decision.choice.kernel.empty();
    });
    if (!open) return steps;
  }
  return limit;
}

}  // namespace reef::app
