#include "ops/nn/attention_segments.h"

#include <utility>
#include <vector>

#include "runtime/base/check.h"

namespace reef::nn {

using ops::Context;
using ops::Tape;
using ops::Tensor;
using ops::Variable;

namespace {

Variable open_on(Pass& pass, const ModelConfig& config, const Layer& layer, const Variable& x) {
  const auto* gpt = std::get_if<GptConfig>(&config);
  return gpt != nullptr ? gpt_open(pass, *gpt, layer, x)
                        : llama_open(pass, std::get<LlamaConfig>(config), layer, x);
}

Variable close_on(Pass& pass, const ModelConfig& config, const Layer& layer, const Variable& out,
                  const Variable& x) {
  const auto* gpt = std::get_if<GptConfig>(&config);
  return gpt != nullptr ? gpt_close(pass, *gpt, layer, out, x)
                        : llama_close(pass, std::get<LlamaConfig>(config), layer, out, x);
}

std::unique_ptr<Tape> tape_for(const std::unique_ptr<Tape>* wanted) {
  return std::make_unique<Tape>(wanted != nullptr ? Tape::Mode::kRecord : Tape::Mode::kEvaluate);
}

Tensor hand_over(std::unique_ptr<Tape> own, const Variable& output, std::unique_ptr<Tape>* tape) {
  own->set_output(output);
  if (tape != nullptr) *tape = std::move(own);
  return output.value;
}

}  // namespace

AttentionSegments::AttentionSegments(const ModelSpec& spec, std::size_t layer)
    : config_(spec.config), tensor_(spec.tensor), layer_(spec.layers.at(layer)) {
  CHECK(layer_.kind == LayerKind::kAttention) << layer_.name;
}

Tensor AttentionSegments::open(Context& context, const Parameters& weights, const Tensor& x,
                               const Sample& sample, std::unique_ptr<Tape>* tape) const {
  std::unique_ptr<Tape> own = tape_for(tape);
  Pass pass{context, *own, weights, sample, tensor_};
  const Variable qkv = open_on(pass, config_, layer_, own->input(x));
  return hand_over(std::move(own), qkv, tape);
}

Tensor AttentionSegments::close(Context& context, const Parameters& weights, const Tensor& out,
                                const Tensor& x, const Sample& sample,
                                std::unique_ptr<Tape>* tape) const {
  std::unique_ptr<Tape> own = tape_for(tape);
  Pass pass{context, *own, weights, sample, tensor_};
  const Variable attended = own->input(out);
  const Variable output = close_on(pass, config_, layer_, attended, own->input(x));
  return hand_over(std::move(own), output, tape);
}

AttentionSegments::CloseGrads AttentionSegments::close_backward(Context& context,
                                                                const Parameters& weights,
                                                                Tape& tape,
                                                                const Tensor& grad_output,
                                                                ops::LaterGradients& later) const {
  std::vector<Tensor> inputs(2);
  later = tape.backward_inputs(context, grad_output, weights, inputs);
  return {std::move(inputs[0]), std::move(inputs[1])};
}

Tensor AttentionSegments::open_backward(Context& context, const Parameters& weights, Tape& tape,
                                        const Tensor& grad_qkv, const Tensor& past,
                                        ops::LaterGradients& later) const {
  std::vector<Tensor> inputs{past};
  later = tape.backward_inputs(context, grad_qkv, weights, inputs);
  return std::move(inputs[0]);
}

}  // namespace reef::nn
