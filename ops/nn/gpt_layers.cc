#include <cmath>

#include "ops/nn/layers.h"

namespace reef::nn {

namespace {

using ops::DType;

void add_norm(std::vector<Parameter>& to, const std::string& name, std::int64_t channels) {
  to.push_back(vector(name + ".weight", channels, Init::ones()));
  to.push_back(vector(name + ".bias", channels, Init::zeros()));
}
void add_linear(std::vector<Parameter>& to, const std::string& name, std::int64_t in,
                std::int64_t out, float std, DType dtype) {
  to.push_back(matrix(name + ".weight", in, out, std, dtype));
  to.push_back(vector(name + ".bias", out, Init::zeros()));
}

Layer embedding_layer(const GptConfig& config, DType dtype) {
  Layer layer{.name = "embedding", .kind = LayerKind::kEmbedding, .parameters = {}, .tied = {}};
  layer.parameters = {
      matrix("wte.weight", config.vocab_size, config.n_embd, config.initializer_range, dtype),
      matrix("wpe.weight", config.n_positions, config.n_embd, config.initializer_range, dtype)};
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.n_embd);
  layer.stash_bytes_per_token = 4;  // the token
  return layer;
}

Layer block_layer(const GptConfig& config, DType dtype, std::int64_t index) {
  const std::string name = "h." + std::to_string(index);
  const std::int64_t c = config.n_embd;
  const std::int64_t f = config.inner();
  const float std = config.initializer_range;
  const float residual_std = std / std::sqrt(2.0f * static_cast<float>(config.n_layer));
  Layer layer{.name = name, .kind = LayerKind::kBlock, .parameters = {}, .tied = {}};
  add_norm(layer.parameters, name + ".ln_1", c);
  add_linear(layer.parameters, name + ".attn.c_attn", c, 3 * c, std, dtype);
  add_linear(layer.parameters, name + ".attn.c_proj", c, c, residual_std, dtype);
  add_norm(layer.parameters, name + ".ln_2", c);
  add_linear(layer.parameters, name + ".mlp.c_fc", c, f, std, dtype);
  add_linear(layer.parameters, name + ".mlp.c_proj", f, c, residual_std, dtype);
  // Products, and attention's two of half of T x T; the rest is small beside them.
  layer.weight_gradient_flops_per_token = 2.0 * static_cast<double>(4 * c * c + 2 * c * f);
  layer.forward_flops_per_token =
      layer.weight_gradient_flops_per_token + 2.0 * static_cast<double>(c * config.n_positions);
  // x, qkv, attention, x after it: 6 C. c_fc before gelu, and after it where dropout keeps the MLP
  // from being one node: F or 2 F. Two norms' statistics and one log-sum-exp for each head.
  const std::int64_t inner = config.resid_pdrop > 0 ? 2 * f : f;
  layer.stash_bytes_per_token = stash_bytes(6 * c + inner, dtype, 4 + config.n_head);
  // Of each product what was multiplied and the gradient of what came out; norms' inputs instead of
  // their results.
  layer.later_bytes_per_token = stash_bytes(8 * c + 2 * f, dtype, 0);
  return layer;
}

Layer head_layer(const GptConfig& config, DType dtype) {
  Layer layer{.name = "head", .kind = LayerKind::kHead, .parameters = {}, .tied = {"wte.weight"}};
  add_norm(layer.parameters, "ln_f", config.n_embd);
  layer.forward_flops_per_token = 2.0 * static_cast<double>(config.n_embd * config.vocab_size);
  layer.weight_gradient_flops_per_token = layer.forward_flops_per_token;
  layer.stash_bytes_per_token = stash_bytes(config.n_embd, dtype, 2);
  layer.later_bytes_per_token = stash_bytes(config.n_embd + config.vocab_size, dtype, 0);
  return layer;
}

}  // namespace

std::vector<Layer> gpt_layers(const GptConfig& config, DType dtype) {
  std::vector<Layer> layers{embedding_layer(config, dtype)};
  for (std::int64_t i = 0; i < config.n_layer; ++i) layers.push_back(block_layer(config, dtype, i));
  layers.push_back(head_layer(config, dtype));
  return layers;
}

}  // namespace reef::nn
