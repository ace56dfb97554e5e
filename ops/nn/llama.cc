#include <array>

#include "ops/autograd/functions.h"
#include "ops/autograd/functions/composite.h"
#include "ops/nn/pass.h"

namespace reef::nn {

using ops::Variable;

namespace {

class Llama {
 public:
  Llama(Pass& pass, const LlamaConfig& config) : pass_(pass), config_(config) {}

  Variable embed(const Variable& tokens, const Parameter& table) {
    if (table.part) return embed_held(pass_, table, tokens.value);
    return ops::embedding(pass_.context, pass_.tape, tokens.value,
                          pass_.leaf("model.embed_tokens.weight"));
  }

  Variable attention(const Variable& x, const std::string& name) {
    const auto [q, k, v] = open(x, name);
    return close(ops::attention(pass_.context, pass_.tape, q, k, v, {}), x, name);
  }
  /// Queries, keys and values; several heads of queries share one of keys and values.
  std::array<Variable, 3> open(const Variable& x, const std::string& name) {
    const Variable n = norm(x, name + ".input_layernorm");
    const std::string part = name + ".self_attn";
    const Variable q = turned(heads(linear(n, part + ".q_proj")));
    const Variable k = turned(heads(linear(n, part + ".k_proj")));
    return {q, k, heads(linear(n, part + ".v_proj"))};
  }
  Variable close(const Variable& a, const Variable& x, const std::string& name) {
    const ops::Shape& shape = a.value.shape();
    const Variable packed =
        ops::reshape(pass_.context, pass_.tape, a, {shape[0], shape[1], shape[2] * shape[3]});
    return joined(x, linear(packed, name + ".self_attn.o_proj"));
  }

  Variable feed_forward(const Variable& x, const std::string& name) {
    return joined(x, gated(norm(x, name + ".post_attention_layernorm"), name + ".mlp"));
  }

  Variable head(const Variable& x) {
    const Variable table = config_.tie_word_embeddings
                               ? pass_.tied_leaf("model.embed_tokens.weight")
                               : pass_.leaf("lm_head.weight");
    return ops::rms_norm_project(pass_.context, pass_.tape, x, pass_.leaf("model.norm.weight"),
                                 config_.rms_norm_eps, table);
  }

 private:
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
  /// With the residual path, which one rank adds.
  Variable joined(const Variable& x, const Variable& change) {
    return pass_.tensor.is_first() ? ops::add(pass_.context, pass_.tape, x, change) : change;
  }
  /// (B, T, H D) -> (B, T, H, D).
  Variable heads(const Variable& x) {
    const ops::Shape& shape = x.value.shape();
    const std::int64_t size = config_.head_size();
    return ops::reshape(pass_.context, pass_.tape, x, {shape[0], shape[1], shape[2] / size, size});
  }
  Variable turned(const Variable& x) {
    return ops::rope(pass_.context, pass_.tape, x, config_.rope_theta,
                     pass_.positions(x.value.shape()[1]));
  }

  Pass& pass_;
  const LlamaConfig& config_;
};

std::string name_of_block(const Layer& layer) {
  return "model.layers." + std::to_string(layer.block);
}

}  // namespace

Variable llama_forward(Pass& pass, const LlamaConfig& config, const Layer& layer,
                       const Variable& x) {
  Llama llama(pass, config);
  const std::string name = name_of_block(layer);
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return llama.embed(x, layer.parameters.front());
    case LayerKind::kAttention:
      return llama.attention(x, name);
    case LayerKind::kFeedForward:
      return llama.feed_forward(x, name);
    case LayerKind::kHead:
      break;
  }
  return llama.head(x);
}

Variable llama_open(Pass& pass, const LlamaConfig& config, const Layer& layer, const Variable& x) {
  return ops::concat(pass.context, pass.tape, Llama(pass, config).open(x, name_of_block(layer)), 2);
}

Variable llama_close(Pass& pass, const LlamaConfig& config, const Layer& layer,
                     const Variable& attended, const Variable& x) {
  return Llama(pass, config).close(attended, x, name_of_block(layer));
}

}  // namespace reef::nn
