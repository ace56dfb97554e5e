#include "ops/nn/spec.h"

#include <array>
#include <cmath>
#include <utility>

#include "runtime/base/check.h"

namespace reef::nn {

namespace {

using ops::DType;

constexpr std::array<std::pair<std::string_view, Precision>, 2> kPrecisions{{
    {"fp32", Precision::kF32},
    {"bf16", Precision::kBF16},
}};

/// Of matrices and activations.
DType dtype_of(Precision precision) {
  return precision == Precision::kBF16 ? DType::kBF16 : DType::kF32;
}

Parameter matrix(std::string name, std::int64_t rows, std::int64_t columns, float std,
                 DType dtype) {
  return {std::move(name), {rows, columns}, Init::normal(std), true, dtype};
}
Parameter vector(std::string name, std::int64_t extent, Init init) {
  return {std::move(name), {extent}, init, false, DType::kF32};
}

void add_norm(std::vector<Parameter>& to, const std::string& name, std::int64_t channels) {
  to.push_back(vector(name + ".weight", channels, Init::ones()));
  to.push_back(vector(name + ".bias", channels, Init::zeros()));
}
void add_linear(std::vector<Parameter>& to, const std::string& name, std::int64_t in,
                std::int64_t out, float std, DType dtype) {
  to.push_back(matrix(name + ".weight", in, out, std, dtype));
  to.push_back(vector(name + ".bias", out, Init::zeros()));
}

/// What the tape keeps of one token: activations in `dtype`, statistics in f32.
double stash_bytes(std::int64_t activations, DType dtype, std::int64_t statistics) {
  return static_cast<double>(ops::size_of(dtype)) * static_cast<double>(activations) +
         4.0 * static_cast<double>(statistics);
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

bool is_probability(float p) { return p >= 0 && p < 1; }

}  // namespace

std::string_view name_of(Precision precision) {
  return kPrecisions[static_cast<std::size_t>(precision)].first;
}

std::optional<Precision> precision_named(std::string_view name) {
  for (const auto& [known, precision] : kPrecisions) {
    if (name == known) return precision;
  }
  return std::nullopt;
}

std::int64_t Parameter::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

std::string problem_of(const GptConfig& config) {
  // Far above any model, low enough that no product here overflows.
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  const auto sane = [](std::int64_t value) { return value > 0 && value <= kMost; };
  if (!sane(config.vocab_size)) return "vocab_size must be in 1..2^24";
  if (!sane(config.n_positions)) return "n_positions must be in 1..2^24";
  if (!sane(config.n_embd)) return "n_embd must be in 1..2^24";
  if (config.n_layer < 1 || config.n_layer > 4096) return "n_layer must be in 1..4096";
  if (!sane(config.n_head)) return "n_head must be in 1..2^24";
  if (config.n_inner < 0 || config.n_inner > kMost) return "n_inner must be in 0..2^24";
  if (config.n_embd % config.n_head != 0) {
    return "n_embd " + std::to_string(config.n_embd) + " is not a multiple of n_head " +
           std::to_string(config.n_head);
  }
  if (!(config.layer_norm_epsilon > 0)) return "layer_norm_epsilon must be positive";
  if (!is_probability(config.embd_pdrop) || !is_probability(config.attn_pdrop) ||
      !is_probability(config.resid_pdrop)) {
    return "a dropout probability must be in [0, 1)";
  }
  if (!(config.initializer_range >= 0)) return "initializer_range must not be negative";
  return "";
}

ModelSpec gpt_spec(const GptConfig& config, Precision precision) {
  CHECK(problem_of(config).empty()) << problem_of(config);
  const DType dtype = dtype_of(precision);
  ModelSpec spec;
  spec.config = config;
  spec.activations = dtype;
  spec.layers.push_back(embedding_layer(config, dtype));
  for (std::int64_t i = 0; i < config.n_layer; ++i) {
    spec.layers.push_back(block_layer(config, dtype, i));
  }
  spec.layers.push_back(head_layer(config, dtype));
  return spec;
}

std::int64_t parameter_count(const ModelSpec& spec) {
  std::int64_t count = 0;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& parameter : layer.parameters) count += parameter.elements();
  }
  return count;
}

std::string use_name(std::string_view parameter) { return std::string(parameter) + "@head"; }

std::string_view parameter_of(std::string_view gradient_name) {
  return gradient_name.substr(0, gradient_name.find('@'));
}

}  // namespace reef::nn
