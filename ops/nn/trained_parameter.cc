#include "ops/nn/trained_parameter.h"

#include <utility>
#include <vector>

#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "runtime/base/check.h"

namespace reef::nn {

using ops::DType;
using ops::Tensor;

namespace {

/// The tensors of one call.
class Call {
 public:
  Call(ops::Context& context, const ops::Update& factors) : context_(context), factors_(factors) {}

  void add(const TrainedParameter& parameter, const Tensor& gradient) {
    const std::size_t at = gradients_.size();
    if (!parameter.parameter.decay) factors_.undecayed[at / 64] |= std::uint64_t{1} << (at % 64);
    gradients_.push_back(gradient);
    masters_.push_back(parameter.master);
    means_.push_back(parameter.mean);
    squares_.push_back(parameter.square);
    if (parameter.rounded.defined()) rounded_.push_back(parameter.rounded);
    if (gradients_.size() == ops::kMaxUpdateTensors) run();
  }

  void run() {
    if (gradients_.empty()) return;
    ops::adamw(context_, {gradients_, masters_, means_, squares_, rounded_}, factors_);
    for (auto* list : {&gradients_, &masters_, &means_, &squares_, &rounded_}) list->clear();
    factors_.undecayed = {};
  }

 private:
  ops::Context& context_;
  ops::Update factors_;
  std::vector<Tensor> gradients_, masters_, means_, squares_, rounded_;
};

}  // namespace

TrainedParameter trained(ops::Context& context, const Parameter& parameter, Tensor master,
                         Tensor mean, Tensor square) {
  TrainedParameter made{parameter, std::move(master), std::move(mean), std::move(square), {}};
  if (parameter.dtype != DType::kF32) {
    made.rounded = ops::cast(context, made.master, parameter.dtype);
  }
  return made;
}

TrainedParameter trained(ops::Context& context, const Parameter& parameter, std::uint64_t seed) {
  const Tensor initial = ops::to_device(context, initial_value(parameter, seed));
  return trained(context, parameter, initial, ops::zeros(context, DType::kF32, initial.shape()),
                 ops::zeros(context, DType::kF32, initial.shape()));
}

void correct(ops::Context& context, TrainedParameter& parameter, const Tensor& change) {
  ops::add_into(context, parameter.master, change);
  if (parameter.rounded.defined())
    parameter.rounded = ops::cast(context, parameter.master, parameter.parameter.dtype);
}

void update(ops::Context& context, std::span<const TrainedParameter> parameters,
            std::span<const Tensor> gradients, const ops::Update& factors) {
  CHECK_EQ(parameters.size(), gradients.size());
  // A call rounds all of its tensors or none.
  Call plain(context, factors), rounding(context, factors);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    (parameters[i].rounded.defined() ? rounding : plain).add(parameters[i], gradients[i]);
  }
  plain.run();
  rounding.run();
}

}  // namespace reef::nn
