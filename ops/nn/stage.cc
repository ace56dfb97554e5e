#include "ops/nn/stage.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "ops/autograd/checkpoint.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace reef::nn {

using ops::Context;
using ops::DType;
using ops::Shape;
using ops::Tape;
using ops::Tensor;
using ops::Variable;

Tensor initial_value(const Parameter& parameter, std::uint64_t seed) {
  return initial_slice(parameter, seed, 0, parameter.elements()).reshape(Shape(parameter.shape));
}

Tensor initial_slice(const Parameter& parameter, std::uint64_t seed, std::int64_t first,
                     std::int64_t count) {
  Tensor tensor = Tensor::zeros(ops::Pool::host(), DType::kF32, {count});
  const std::span<float> values = tensor.values<float>();
  switch (parameter.init.kind) {
    case Init::Kind::kZeros:
      break;
    case Init::Kind::kOnes:
      std::fill(values.begin(), values.end(), 1.0f);
      break;
    case Init::Kind::kNormal: {
      const Random random(seed, "init/" + parameter.name);
      for_each_run(parameter, first, count,
                   [&](std::int64_t place, std::int64_t whole, std::int64_t elements) {
                     for (std::int64_t i = 0; i < elements; ++i) {
                       values[static_cast<std::size_t>(place + i)] =
                           parameter.init.std *
                           random.normal(0, static_cast<std::uint64_t>(whole + i));
                     }
                   });
    }
  }
  return tensor;
}

Stage::Stage(const ModelSpec& spec, std::size_t first_layer, std::size_t last_layer)
    : spec_(spec), first_(first_layer), last_(last_layer) {
  CHECK(first_ < last_ && last_ <= spec_.layers.size()) << first_ << ".." << last_;
  std::vector<std::string> used;
  for (std::size_t i = first_; i < last_; ++i) {
    const Layer& layer = spec_.layers[i];
    parameters_.insert(parameters_.end(), layer.parameters.begin(), layer.parameters.end());
    used.insert(used.end(), layer.tied.begin(), layer.tied.end());
  }
  for (const std::string& name : used) {
    const bool owned = std::any_of(parameters_.begin(), parameters_.end(),
                                   [&name](const Parameter& p) { return p.name == name; });
    if (!owned) tied_.push_back(name);
  }
}

Tensor Stage::forward(Context& context, const Parameters& weights, const Tensor& input,
                      const Sample& sample, std::unique_ptr<Tape>* tape) const {
  auto own = std::make_unique<Tape>(tape != nullptr ? Tape::Mode::kRecord : Tape::Mode::kEvaluate);
  Variable x = is_first() ? Variable{input} : own->input(input);
  for (std::size_t i = first_; i < last_; ++i) {
    const auto run = [this, i, sample](Context& context, Tape& tape, const Parameters& weights,
                                       std::span<const Variable> inputs) {
      Pass pass{context, tape, weights, sample, spec_.tensor};
      return layer_forward(pass, spec_.layers[i], inputs[0]);
    };
    const std::array<Variable, 1> inputs{x};
    x = spec_.layers[i].recomputed ? ops::checkpoint(context, *own, run, weights, inputs)
                                   : run(context, *own, weights, inputs);
  }
  own->set_output(x);
  if (tape != nullptr) *tape = std::move(own);
  return x.value;
}

Variable Stage::layer_forward(Pass& pass, const Layer& layer, const Variable& x) const {
  const auto* gpt = std::get_if<GptConfig>(&spec_.config);
  return gpt != nullptr ? gpt_forward(pass, *gpt, layer, x)
                        : llama_forward(pass, std::get<LlamaConfig>(spec_.config), layer, x);
}

Tensor Stage::backward(Context& context, const Parameters& weights, Tape& tape,
                       const Tensor& grad_output, Parameters& grads) const {
  Parameters found = tape.backward(context, grad_output, weights);
  Tensor grad_input;
  for (auto& [name, grad] : found) {
    if (name.empty()) {
      grad_input = std::move(grad);
    } else {
      grads[name] = std::move(grad);
    }
  }
  return grad_input;
}

Tensor Stage::backward_input(Context& context, const Parameters& weights, Tape& tape,
                             const Tensor& grad_output, ops::LaterGradients& later) const {
  std::vector<Tensor> inputs(is_first() ? 0 : 1);
  later = tape.backward_inputs(context, grad_output, weights, inputs);
  return is_first() ? Tensor() : std::move(inputs[0]);
}

std::vector<std::string> gradient_names(const Stage& stage) {
  std::vector<std::string> names;
  for (const Parameter& parameter : stage.parameters_) names.push_back(parameter.name);
  for (std::size_t i = stage.first_; i < stage.last_; ++i) {
    for (const std::string& name : stage.spec_.layers[i].tied) names.push_back(use_name(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

namespace {

/// Values from `least` on.
Status check_values(const ModelConfig& config, const Tensor& tokens, std::int32_t least,
                    const char* where) {
  const auto refuse = [where](std::string what) { return Error{Code::kTensor, where, what}; };
  if (!tokens.defined() || tokens.dtype() != DType::kI32 || tokens.shape().rank() != 2) {
    return refuse("not an i32 tensor of rank 2");
  }
  const std::int64_t longest = longest_context_of(config);
  const std::int64_t vocabulary = vocabulary_of(config);
  if (tokens.shape()[1] < 1 || tokens.shape()[1] > longest) {
    return refuse("length " + std::to_string(tokens.shape()[1]) + " is not in 1.." +
                  std::to_string(longest));
  }
  for (const std::int32_t token : tokens.values<std::int32_t>()) {
    if (token < least || token >= vocabulary) {
      return refuse("token " + std::to_string(token) + " is not in the vocabulary of " +
                    std::to_string(vocabulary));
    }
  }
  return {};
}

}  // namespace

Status check_tokens(const ModelConfig& config, const Tensor& tokens) {
  return check_values(config, tokens, 0, "tokens");
}

Status check_targets(const ModelConfig& config, const Tensor& targets) {
  return check_values(config, targets, -1, "targets");
}

LossResult cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                         float grad_scale, bool want_grad) {
  ops::CrossEntropy result =
      ops::softmax_cross_entropy(context, logits, targets, grad_scale, want_grad);
  return {result.loss_sum, result.tokens, std::move(result.grad_logits)};
}

}  // namespace reef::nn
