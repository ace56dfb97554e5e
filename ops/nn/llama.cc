#include "ops/autograd/functions.h"
#include "ops/autograd/functions/composite.h"
#include "ops/nn/pass.h"

namespace reef::nn {

using ops::Variable;

namespace {

class Llama {
 public:
  Llama(Pass& pass, const LlamaConfig& config) : pass_(pass), config_(config) {}

  Variable embed(const Variable& tokens) {
    return ops::embedding(pass_.context, pass_.tape, tokens.value,
                          pass_.leaf("model.embed_tokens.weight"));
  }

  Variable attention(const Variable& x, const std::string& name) {
    return add(x, attend(norm(x, name + ".input_layernorm"), name + ".self_attn"));
  }

  Variable feed_forward(const Variable& x, const std::string& name) {
    return add(x, gated(norm(x, name + ".post_attention_layernorm"), name + ".mlp"));
  }

  Variable head(const Variable& x) {
    const Variable table = config_.tie_word_embeddings
                               ? pass_.tied_leaf("model.embed_tokens.weight")
                               : pass_.leaf("lm_head.weight");
    return ops::rms_norm_project(pass_.context, pass_.tape, x, pass_.leaf("model.norm.weight"),
                                 config_.rms_norm_eps, table);
  }

 private:
  /// Several heads of queries share one of keys and values.
  Variable attend(const Variable& x, const std::string& name) {
    const std::int64_t shared = config_.key_value_heads();
    const Variable q = turned(heads(linear(x, name + ".q_proj"), config_.num_attention_heads));
    const Variable k = turned(heads(linear(x, name + ".k_proj"), shared));
    const Variable v = heads(linear(x, name + ".v_proj"), shared);
    const Variable a = ops::attention(pass_.context, pass_.tape, q, k, v, {});
    return linear(ops::reshape(pass_.context, pass_.tape, a, x.value.shape()), name + ".o_proj");
  }

  Variable gated(const Variable& x, const std::string& name) {
    const Variable gate = linear(x, name + ".gate_proj");
    const Variable up = linear(x, name + ".up_proj");
    return linear(ops::swiglu(pass_.context, pass_.tape, gate, up), name + ".down_proj");
  }

  Variable norm(const Variable& x, const std::string& name) {
    return ops::rms_norm(pass_.context, pass_.tape, x, pass_.leaf(name + ".weight"),
                         config_.rms_norm_eps);
  }
  /// The weight is (out, in).
  Variable linear(const Variable& x, const std::string& name) {
    return ops::project(pass_.context, pass_.tape, x, pass_.leaf(name + ".weight"));
  }
  Variable add(const Variable& a, const Variable& b) {
    return ops::add(pass_.context, pass_.tape, a, b);
  }
  /// (B, T, H D) -> (B, T, H, D).
  Variable heads(const Variable& x, std::int64_t count) {
    const ops::Shape& shape = x.value.shape();
    return ops::reshape(pass_.context, pass_.tape, x,
                        {shape[0], shape[1], count, config_.head_size()});
  }
  Variable turned(const Variable& x) {
    return ops::rope(pass_.context, pass_.tape, x, config_.rope_theta);
  }

  Pass& pass_;
  const LlamaConfig& config_;
};

}  // namespace

Variable llama_forward(Pass& pass, const LlamaConfig& config, const Layer& layer,
                       const Variable& x) {
  Llama llama(pass, config);
  const std::string name = "model.layers." + std::to_string(layer.block);
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return llama.embed(x);
    case LayerKind::kAttention:
      return llama.attention(x, name);
    case LayerKind::kFeedForward:
      return llama.feed_forward(x, name);
    case LayerKind::kHead:
      break;
  }
  return llama.head(x);
}

}  // namespace reef::nn
