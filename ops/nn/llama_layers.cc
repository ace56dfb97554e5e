#include "ops/nn/layers.h"

namespace reef::nn {

namespace {

using ops::DType;

constexpr const char* kEmbedding = "model.embed_tokens.weight";

Layer embedding_layer(const LlamaConfig& config, DType dtype) {
  Layer layer{.name = "embedding", .kind = LayerKind::kEmbedding, .parameters = {}, .tied = {}};
  layer.parameters = {
      matrix(kEmbedding, config.vocab_size, config.hidden_size, config.initializer_range, dtype)};
  layer.forward_flops_per_token = static_cast<double>(config.hidden_size);
  layer.stash_bytes_per_token = 4;  // the token
  return layer;
}

Layer block_layer(const LlamaConfig& config, DType dtype, std::int64_t index) {
  const std::string name = "model.layers." + std::to_string(index);
  const std::int64_t c = config.hidden_size;
  const std::int64_t f = config.intermediate_size;
  const std::int64_t kv = config.key_value_heads() * config.head_size();
  Layer layer{.name = name, .kind = LayerKind::kBlock, .parameters = {}, .tied = {}};
  const auto norm = [&](const char* part) {
    layer.parameters.push_back(vector(name + part + ".weight", c, Init::ones()));
  };
  // Published as (out, in), unlike GPT-2's.
  const auto linear = [&](const char* part, std::int64_t out, std::int64_t in) {
    layer.parameters.push_back(
        matrix(name + part + ".weight", out, in, config.initializer_range, dtype));
  };
  norm(".input_layernorm");
  linear(".self_attn.q_proj", c, c);
  linear(".self_attn.k_proj", kv, c);
  linear(".self_attn.v_proj", kv, c);
  linear(".self_attn.o_proj", c, c);
  norm(".post_attention_layernorm");
  linear(".mlp.gate_proj", f, c);
  linear(".mlp.up_proj", f, c);
  linear(".mlp.down_proj", c, f);
  // Products, and attention's two of half of T x T; the rest is small beside them.
  layer.weight_gradient_flops_per_token =
      2.0 * static_cast<double>(2 * c * c + 2 * c * kv + 3 * c * f);
  layer.forward_flops_per_token = layer.weight_gradient_flops_per_token +
                                  2.0 * static_cast<double>(c * config.max_position_embeddings);
  // x, its norm, q, attention, x after it, its norm: 6 C. k and v. gate, up and their product: 3 F.
  // Two norms' statistics and one log-sum-exp for each head.
  layer.stash_bytes_per_token =
      stash_bytes(6 * c + 2 * kv + 3 * f, dtype, 2 + config.num_attention_heads);
  // Of each product what was multiplied and the gradient of what came out: two norms, attention and
  // the gated middle; q, k, v and twice the block's own; gate and up.
  layer.later_bytes_per_token = stash_bytes(6 * c + 2 * kv + 3 * f, dtype, 0);
  return layer;
}

Layer head_layer(const LlamaConfig& config, DType dtype) {
  Layer layer{.name = "head", .kind = LayerKind::kHead, .parameters = {}, .tied = {}};
  layer.parameters = {vector("model.norm.weight", config.hidden_size, Init::ones())};
  if (config.tie_word_embeddings) {
    layer.tied = {kEmbedding};
  } else {
    layer.parameters.push_back(matrix("lm_head.weight", config.vocab_size, config.hidden_size,
                                      config.initializer_range, dtype));
  }
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.hidden_size * config.vocab_size);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  layer.stash_bytes_per_token = stash_bytes(config.hidden_size, dtype, 1);
  layer.later_bytes_per_token = stash_bytes(config.hidden_size + config.vocab_size, dtype, 0);
  return layer;
}

}  // namespace

std::vector<Layer> llama_layers(const LlamaConfig& config, DType dtype) {
  std::vector<Layer> layers{embedding_layer(config, dtype)};
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers.push_back(block_layer(config, dtype, i));
  }
  layers.push_back(head_layer(config, dtype));
  return layers;
}

}  // namespace reef::nn
