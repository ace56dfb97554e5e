#include <cmath>

#include "ops/nn/layers.h"

namespace reef::nn {

namespace {

using ops::DType;

void add_norm(std::vector<Parameter>& to, const std::string& name, std::int64_t channels) {
  to.push_back(vector(name + ".weight", channels, Init::ones(), Sharing::copied()));
  to.push_back(vector(name + ".bias", channels, Init::zeros(), Sharing::copied()));
}
void add_linear(std::vector<Parameter>& to, const std::string& name, std::int64_t in,
                std::int64_t out, float std, DType dtype, Sharing weight, Sharing bias) {
  to.push_back(matrix(name + ".weight", in, out, std, dtype, weight));
  to.push_back(vector(name + ".bias", out, Init::zeros(), bias));
}

/// Of what is added to the residual path.
float residual_std(const GptConfig& config) {
  return config.initializer_range / std::sqrt(2.0f * static_cast<float>(config.n_layer));
}

Layer embedding_layer(const GptConfig& config, DType dtype) {
  Layer layer{.name = "embedding", .kind = LayerKind::kEmbedding, .parameters = {}, .tied = {}};
  layer.parameters = {matrix("wte.weight", config.vocab_size, config.n_embd,
                             config.initializer_range, dtype, Sharing::split(0)),
                      matrix("wpe.weight", config.n_positions, config.n_embd,
                             config.initializer_range, dtype, Sharing::first())};
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.n_embd);
  layer.stash_bytes_per_token = layer.copied_stash_bytes_per_token = 4;  // the token
  return layer;
}

Layer attention_layer(const GptConfig& config, DType dtype, std::int64_t context,
                      std::int64_t block) {
  const std::string name = "h." + std::to_string(block);
  const std::int64_t c = config.n_embd;
  Layer layer{.name = name + ".attention", .block = block, .parameters = {}, .tied = {}};
  add_norm(layer.parameters, name + ".ln_1", c);
  const std::int64_t head = c / config.n_head;
  add_linear(layer.parameters, name + ".attn.c_attn", c, 3 * c, config.initializer_range, dtype,
             Sharing::split(1, head, 3), Sharing::split(0, head, 3));
  add_linear(layer.parameters, name + ".attn.c_proj", c, c, residual_std(config), dtype,
             Sharing::split(0, head), Sharing::first());
  // Products, and attention's two of half of T x T; the rest is small beside them.
  layer.weight_gradient_flops_per_token = 2.0 * static_cast<double>(4 * c * c);
  layer.forward_flops_per_token =
      layer.weight_gradient_flops_per_token + 2.0 * static_cast<double>(c * context);
  // x, qkv, attention. The norm's statistics and one log-sum-exp for each head.
  layer.stash_bytes_per_token = stash_bytes(5 * c, dtype, 2 + config.n_head);
  layer.copied_stash_bytes_per_token = stash_bytes(c, dtype, 2);
  // Of each product what was multiplied and the gradient of what came out; the norm's input instead
  // of its result.
  layer.later_bytes_per_token = stash_bytes(6 * c, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(2 * c, dtype, 0);
  return layer;
}

Layer feed_forward_layer(const GptConfig& config, DType dtype, std::int64_t block) {
  const std::string name = "h." + std::to_string(block);
  const std::int64_t c = config.n_embd;
  const std::int64_t f = config.inner();
  Layer layer{.name = name + ".feed_forward",
              .kind = LayerKind::kFeedForward,
              .block = block,
              .parameters = {},
              .tied = {}};
  add_norm(layer.parameters, name + ".ln_2", c);
  add_linear(layer.parameters, name + ".mlp.c_fc", c, f, config.initializer_range, dtype,
             Sharing::split(1), Sharing::split(0));
  add_linear(layer.parameters, name + ".mlp.c_proj", f, c, residual_std(config), dtype,
             Sharing::split(0), Sharing::first());
  layer.forward_flops_per_token = 2.0 * static_cast<double>(2 * c * f);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  // x and c_fc before gelu; after it, too, where dropout keeps the layer from being one node.
  const std::int64_t inner = config.resid_pdrop > 0 ? 2 * f : f;
  layer.stash_bytes_per_token = stash_bytes(c + inner, dtype, 2);
  layer.copied_stash_bytes_per_token = stash_bytes(c, dtype, 2);
  layer.later_bytes_per_token = stash_bytes(2 * c + 2 * f, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(2 * c, dtype, 0);
  return layer;
}

Layer head_layer(const GptConfig& config, DType dtype) {
  Layer layer{.name = "head", .kind = LayerKind::kHead, .parameters = {}, .tied = {"wte.weight"}};
  add_norm(layer.parameters, "ln_f", config.n_embd);
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.n_embd * config.vocab_size);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  layer.stash_bytes_per_token = layer.copied_stash_bytes_per_token =
      stash_bytes(config.n_embd, dtype, 2);
  layer.later_bytes_per_token = stash_bytes(config.n_embd + config.vocab_size, dtype, 0);
  layer.copied_later_bytes_per_token = stash_bytes(config.n_embd, dtype, 0);
  return layer;
}

}  // namespace

std::vector<Layer> gpt_layers(const GptConfig& config, DType dtype, std::int64_t context) {
  std::vector<Layer> layers{embedding_layer(config, dtype)};
  for (std::int64_t i = 0; i < config.n_layer; ++i) {
    layers.push_back(attention_layer(config, dtype, context, i));
    layers.push_back(feed_forward_layer(config, dtype, i));
  }
  layers.push_back(head_layer(config, dtype));
  return layers;
}

}  // namespace reef::nn
