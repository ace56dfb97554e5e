#include "ops/nn/stage.h"

#include <algorithm>
#include <utility>

#include "ops/autograd/functions.h"
#include "ops/autograd/functions/composite.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace reef::nn {

using ops::Context;
using ops::Draw;
using ops::DType;
using ops::Shape;
using ops::Tape;
using ops::Tensor;
using ops::Variable;

namespace {

const Tensor& weight_of(const Parameters& weights, const std::string& name) {
  const auto found = weights.find(name);
  CHECK(found != weights.end()) << "no weight '" << name << "'";
  return found->second;
}

/// The forward pass of one micro-batch: what all layers of a stage share.
class Forward {
 public:
  Forward(Context& context, Tape& tape, const Parameters& weights, const GptConfig& config,
          const Sample& sample)
      : context_(context), tape_(tape), weights_(weights), config_(config), sample_(sample) {}

  Variable embed(const Tensor& tokens) {
    const Variable x =
        ops::embedding(context_, tape_, tokens, leaf("wte.weight"), leaf("wpe.weight"));
    return ops::dropout(context_, tape_, x, draw(config_.embd_pdrop, 0));
  }

  Variable block(const Variable& x, const std::string& name, std::uint64_t index) {
    const std::uint64_t first_draw = 1 + 3 * index;
    Variable a = ops::norm_linear(context_, tape_, x, norm_leaves(name + ".ln_1"),
                                  linear_leaves(name + ".attn.c_attn"));
    a = ops::attention(context_, tape_, a, config_.n_head, draw(config_.attn_pdrop, first_draw));
    const ops::LinearLeaves projection = linear_leaves(name + ".attn.c_proj");
    const Draw after_attention = draw(config_.resid_pdrop, first_draw + 1);
    const Draw after_mlp = draw(config_.resid_pdrop, first_draw + 2);
    if (after_attention.probability <= 0) {
      const Variable middle =
          ops::linear_residual(context_, tape_, a, projection.weight, projection.bias, x);
      return ops::residual_mlp(context_, tape_, middle, norm_leaves(name + ".ln_2"),
                               linear_leaves(name + ".mlp.c_fc"),
                               linear_leaves(name + ".mlp.c_proj"));
    }
    a = ops::linear(context_, tape_, a, projection.weight, projection.bias);
    a = ops::dropout(context_, tape_, a, after_attention);
    const Variable middle = ops::add(context_, tape_, x, a);
    Variable m = ops::norm_linear(context_, tape_, middle, norm_leaves(name + ".ln_2"),
                                  linear_leaves(name + ".mlp.c_fc"));
    m = ops::gelu(context_, tape_, m);
    m = linear(m, name + ".mlp.c_proj");
    m = ops::dropout(context_, tape_, m, after_mlp);
    return ops::add(context_, tape_, middle, m);
  }

  Variable head(const Variable& x) {
    const Variable table =
        tape_.leaf(use_name("wte.weight"), "wte.weight", weight_of(weights_, "wte.weight"));
    return ops::norm_project(context_, tape_, x, norm_leaves("ln_f"), table);
  }

 private:
  Variable leaf(const std::string& name) {
    return tape_.leaf(name, name, weight_of(weights_, name));
  }
  ops::NormLeaves norm_leaves(const std::string& name) {
    return {leaf(name + ".weight"), leaf(name + ".bias"), config_.layer_norm_epsilon};
  }
  ops::LinearLeaves linear_leaves(const std::string& name) {
    return {leaf(name + ".weight"), leaf(name + ".bias")};
  }
  Variable linear(const Variable& x, const std::string& name) {
    return ops::linear(context_, tape_, x, leaf(name + ".weight"), leaf(name + ".bias"));
  }
  /// `op` numbers the dropouts of the whole model, so that a cut does not change the draws.
  Draw draw(float probability, std::uint64_t op) const {
    return {sample_.training ? probability : 0.0f, sample_.seed, sample_.step, op,
            sample_.first_sample};
  }

  Context& context_;
  Tape& tape_;
  const Parameters& weights_;
  const GptConfig& config_;
  const Sample& sample_;
};

}  // namespace

Tensor initial_value(const Parameter& parameter, std::uint64_t seed) {
  Tensor tensor = Tensor::zeros(ops::Pool::host(), DType::kF32, Shape(parameter.shape));
  const std::span<float> values = tensor.values<float>();
  switch (parameter.init.kind) {
    case Init::Kind::kZeros:
      break;
    case Init::Kind::kOnes:
      std::fill(values.begin(), values.end(), 1.0f);
      break;
    case Init::Kind::kNormal: {
      const Random random(seed, "init/" + parameter.name);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = parameter.init.std * random.normal(0, i);
      }
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
  Forward forward(context, *own, weights, spec_.config, sample);
  Variable x;
  for (std::size_t i = first_; i < last_; ++i) {
    const Layer& layer = spec_.layers[i];
    if (i == first_ && layer.kind != LayerKind::kEmbedding) x = own->input(input);
    switch (layer.kind) {
      case LayerKind::kEmbedding:
        x = forward.embed(input);
        break;
      case LayerKind::kBlock:
        x = forward.block(x, layer.name, i - 1);  // layer 0 is the embedding
        break;
      case LayerKind::kHead:
        x = forward.head(x);
        break;
    }
  }
  own->set_output(x);
  if (tape != nullptr) *tape = std::move(own);
  return x.value;
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

Status check_tokens(const GptConfig& config, const Tensor& tokens) {
  const auto refuse = [](std::string what) { return Error{Code::kTensor, "tokens", what}; };
  if (!tokens.defined() || tokens.dtype() != DType::kI32 || tokens.shape().rank() != 2) {
    return refuse("not an i32 tensor of rank 2");
  }
  if (tokens.shape()[1] < 1 || tokens.shape()[1] > config.n_positions) {
    return refuse("length " + std::to_string(tokens.shape()[1]) + " is not in 1.." +
                  std::to_string(config.n_positions));
  }
  for (const std::int32_t token : tokens.values<std::int32_t>()) {
    if (token < 0 || token >= config.vocab_size) {
      return refuse("token " + std::to_string(token) + " is not in the vocabulary of " +
                    std::to_string(config.vocab_size));
    }
  }
  return {};
}

LossResult cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                         float grad_scale, bool want_grad) {
  ops::CrossEntropy result =
      ops::softmax_cross_entropy(context, logits, targets, grad_scale, want_grad);
  return {result.loss_sum, result.tokens, std::move(result.grad_logits)};
}

}  // namespace reef::nn
