#include "ops/nn/layers.h"

namespace reef::nn {

namespace {

using ops::DType;

constexpr const char* kEmbedding = "model.embed_tokens.weight";

Layer embedding_layer(const LlamaConfig& config, DType dtype) {
  Layer layer{.name = "embedding", .kind = LayerKind::kEmbedding, .parameters = {}, .tied = {}};
  layer.parameters = {matrix(kEmbedding, config.vocab_size, config.hidden_size,
                             config.initializer_range, dtype, Sharing::split(0))};
  layer.forward_flops_per_token = static_cast<double>(config.hidden_size);
  layer.stash_bytes_per_token = layer.copied_stash_bytes_per_token = 4;  // the token
  return layer;
}

/// The parameters of one layer of a block. Matrices are published as (out, in), unlike GPT-2's.
class BlockPart {
 public:
  BlockPart(const LlamaConfig& config, DType dtype, std::int64_t block, LayerKind kind)
      : config_(config), dtype_(dtype), name_("model.layers." + std::to_string(block)) {
    const bool attends = kind == LayerKind::kAttention;
    layer = {.name = name_ + (attends ? ".attention" : ".feed_forward"),
             .kind = kind,
             .block = block,
             .parameters = {},
             .tied = {}};
  }
  void norm(const char* part) {
    layer.parameters.push_back(
        vector(name_ + part + ".weight", config_.hidden_size, Init::ones(), Sharing::copied()));
  }
  void linear(const char* part, std::int64_t out, std::int64_t in, Sharing sharing) {
    layer.parameters.push_back(
        matrix(name_ + part + ".weight", out, in, config_.initializer_range, dtype_, sharing));
  }

  Layer layer;

 private:
  const LlamaConfig& config_;
  DType dtype_;
  std::string name_;
};

Layer attention_layer(const LlamaConfig& config, DType dtype, std::int64_t context,
                      std::int64_t block) {
  const std::int64_t c = config.hidden_size;
  const std::int64_t kv = config.key_value_heads() * config.head_size();
  BlockPart part(config, dtype, block, LayerKind::kAttention);
  part.norm(".input_layernorm");
  const std::int64_t head = config.head_size();
  const std::int64_t group = c / config.key_value_heads();  // the queries of one head of keys
  part.linear(".self_attn.q_proj", c, c, Sharing::split(0, group));
  part.linear(".self_attn.k_proj", kv, c, Sharing::split(0, head));
  part.linear(".self_attn.v_proj", kv, c, Sharing::split(0, head));
  part.linear(".self_attn.o_proj", c, c, Sharing::split(1, group));
  Layer layer = std::move(part.layer);
  // Products, and attention's two of half of T x T; the rest is small beside them.
  layer.weight_gradient_flops_per_token = 2.0 * static_cast<double>(2 * c * c + 2 * c * kv);
  layer.forward_flops_per_token =
      layer.weight_gradient_flops_per_token + 2.0 * static_cast<double>(c * context);
  // x, its norm, q, attention; k and v. The norm's statistic and one log-sum-exp for each head.
  layer.stash_bytes_per_token = stash_bytes(4 * c + 2 * kv, dtype, 1 + config.num_attention_heads);
  layer.copied_stash_bytes_per_token = stash_bytes(2 * c, dtype, 1);
  // Of each product what was multiplied and the gradient of what came out.
  layer.later_bytes_per_token = stash_bytes(4 * c + 2 * kv, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(2 * c, dtype, 0);
  return layer;
}

Layer feed_forward_layer(const LlamaConfig& config, DType dtype, std::int64_t block) {
  const std::int64_t c = config.hidden_size;
  const std::int64_t f = config.intermediate_size;
  BlockPart part(config, dtype, block, LayerKind::kFeedForward);
  part.norm(".post_attention_layernorm");
  part.linear(".mlp.gate_proj", f, c, Sharing::split(0));
  part.linear(".mlp.up_proj", f, c, Sharing::split(0));
  part.linear(".mlp.down_proj", c, f, Sharing::split(1));
  Layer layer = std::move(part.layer);
  layer.forward_flops_per_token = 2.0 * static_cast<double>(3 * c * f);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  // x and its norm; gate, up and their product. The norm's statistic.
  layer.stash_bytes_per_token = stash_bytes(2 * c + 3 * f, dtype, 1);
  layer.copied_stash_bytes_per_token = stash_bytes(2 * c, dtype, 1);
  layer.later_bytes_per_token = stash_bytes(2 * c + 3 * f, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(2 * c, dtype, 0);
  return layer;
}

Layer head_layer(const LlamaConfig& config, DType dtype) {
  Layer layer{.name = "head", .kind = LayerKind::kHead, .parameters = {}, .tied = {}};
  layer.parameters = {
      vector("model.norm.weight", config.hidden_size, Init::ones(), Sharing::copied())};
  if (config.tie_word_embeddings) {
    layer.tied = {kEmbedding};
  } else {
    layer.parameters.push_back(matrix("lm_head.weight", config.vocab_size, config.hidden_size,
                                      config.initializer_range, dtype, Sharing::split(0)));
  }
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.hidden_size * config.vocab_size);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  layer.stash_bytes_per_token = layer.copied_stash_bytes_per_token =
      stash_bytes(config.hidden_size, dtype, 1);
  layer.later_bytes_per_token = stash_bytes(config.hidden_size + config.vocab_size, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(config.hidden_size, dtype, 0);
  return layer;
}

}  // namespace

std::vector<Layer> llama_layers(const LlamaConfig& config, DType dtype, std::int64_t context) {
  std::vector<Layer> layers{embedding_layer(config, dtype)};
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers.push_back(attention_layer(config, dtype, context, i));
    layers.push_back(feed_forward_layer(config, dtype, i));
  }
  layers.push_back(head_layer(config, dtype));
  return layers;
}

}  // namespace reef::nn
