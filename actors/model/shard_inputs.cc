#include "actors/model/shard_inputs.h"

#include <algorithm>

#include "ops/nn/tensor_rank.h"

namespace reef::actors {

using nn::Parameters;
using ops::Tensor;

namespace {

/// kTensor, with what there is and what there should be.
Status check(const Tensor& tensor, const ops::Shape& shape, ops::DType dtype,
             const std::string& name) {
  if (tensor.shape() == shape && tensor.dtype() == dtype) return {};
  const auto text = [](const ops::Shape& extents, ops::DType of) {
    return std::string(ops::name_of(of)) + " " + extents.text();
  };
  return Error{Code::kTensor, name,
               "is " + text(tensor.shape(), tensor.dtype()) + ", not " + text(shape, dtype)};
}

}  // namespace

ShardInputs::ShardInputs(const TaskSetup& setup, const nn::Stage& stage)
    : config_(setup.job.model),
      tokens_{setup.job.training.sequences_per_leaf,
              setup.job.training.context / setup.plan.context},
      hidden_{tokens_[0], tokens_[1], nn::width_of(config_)},
      activations_(setup.model.activations),
      columns_(nn::columns_of(setup.model).count),
      tied_(stage.tied()) {
  for (const auto& parameter : stage.parameters()) names_.push_back(parameter.name);
  std::sort(names_.begin(), names_.end());
}

Status ShardInputs::check_input(ops::Context& context, const nn::Stage& layers,
                                const Tensor& input) const {
  if (!layers.is_first()) return check_hidden(input);
  ATOLL_TRY(check(input, tokens_, ops::DType::kI32, "tokens"));
  return nn::check_tokens(config_, ops::on_host(context, input));
}

Status ShardInputs::check_grad(const nn::Stage& layers, const Token& grad,
                               const Token& stash) const {
  const bool same = grad.round == stash.round && grad.micro == stash.micro;
  if (!same || grad.empty == grad.round.training()) {
    return Error{Code::kProto, "gradient", "belongs to another micro-batch than the stash"};
  }
  return grad.empty || layers.is_last() ? Status() : check_hidden(grad.tensors.at(0));
}

Status ShardInputs::take_weights(std::span<const Token* const> tokens, Parameters& weights) const {
  const auto& own = tokens[0]->tensors;
  if (own.size() != names_.size())
    return Error{Code::kTensor, "weights", "not the tensors of this stage"};
  for (std::size_t i = 0; i < own.size(); ++i) weights[names_[i]] = own[i];
  for (std::size_t i = 0; i < tied_.size(); ++i) {
    const Tensor& tied = tokens[1]->tensors.at(i);
    ATOLL_TRY(check(tied, {columns_, nn::width_of(config_)}, activations_, tied_[i]));
    weights[tied_[i]] = tied;
  }
  return {};
}

Result<Parameters> ShardInputs::gathered(const std::vector<nn::Parameter>& parameters,
                                         const Token& token) {
  if (token.tensors.size() != parameters.size())
    return Error{Code::kTensor, "weights", "not the tensors of these layers"};
  Parameters weights;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const nn::Parameter& one = parameters[i];
    ATOLL_TRY(check(token.tensors[i], ops::Shape(one.shape), one.dtype, one.name));
    weights[one.name] = token.tensors[i];
  }
  return weights;
}

Status ShardInputs::check_hidden(const Tensor& tensor) const {
  return check(tensor, hidden_, activations_, "hidden");
}

}  // namespace reef::actors
