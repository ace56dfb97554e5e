#include "ops/nn/spec.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ops/nn/layers.h"
#include "runtime/base/check.h"

namespace reef::nn {

namespace {

using ops::DType;

constexpr std::array<std::pair<std::string_view, Precision>, 2> kPrecisions{{
    {"fp32", Precision::kF32},
    {"bf16", Precision::kBF16},
}};

constexpr std::array<std::pair<std::string_view, Recompute>, 3> kRecomputes{{
    {"none", Recompute::kNone},
    {"selective", Recompute::kSelective},
    {"full", Recompute::kFull},
}};

/// Of matrices and activations.
DType dtype_of(Precision precision) {
  return precision == Precision::kBF16 ? DType::kBF16 : DType::kF32;
}

template <typename Table>
auto named(const Table& table, std::string_view name)
    -> std::optional<typename Table::value_type::second_type> {
  for (const auto& [known, value] : table) {
    if (name == known) return value;
  }
  return std::nullopt;
}

bool keeps_only_its_input(const Layer& layer, Recompute recompute) {
  return (layer.kind == LayerKind::kFeedForward && recompute != Recompute::kNone) ||
         (layer.kind == LayerKind::kAttention && recompute == Recompute::kFull);
}

}  // namespace

std::string_view name_of(Precision precision) {
  return kPrecisions[static_cast<std::size_t>(precision)].first;
}

std::optional<Precision> precision_named(std::string_view name) { return named(kPrecisions, name); }

std::string_view name_of(Recompute recompute) {
  return kRecomputes[static_cast<std::size_t>(recompute)].first;
}

std::optional<Recompute> recompute_named(std::string_view name) { return named(kRecomputes, name); }

std::int64_t Parameter::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

ModelSpec model_spec(const ModelConfig& config, Precision precision, Recompute recompute,
                     std::int64_t context) {
  CHECK(problem_of(config).empty()) << problem_of(config);
  ModelSpec spec;
  spec.config = config;
  spec.activations = dtype_of(precision);
  if (context == 0) context = longest_context_of(config);
  const auto* gpt = std::get_if<GptConfig>(&config);
  spec.layers = gpt != nullptr
                    ? gpt_layers(*gpt, spec.activations, context)
                    : llama_layers(std::get<LlamaConfig>(config), spec.activations, context);
  for (Layer& layer : spec.layers) layer.recomputed = keeps_only_its_input(layer, recompute);
  return spec;
}

std::int64_t parameter_count(const ModelSpec& spec) {
  std::int64_t count = 0;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& parameter : layer.parameters) count += parameter.elements();
  }
  return count;
}

bool is_tied(const ModelSpec& spec, std::string_view parameter) {
  return std::ranges::any_of(spec.layers, [&](const Layer& layer) {
    return std::ranges::find(layer.tied, parameter) != layer.tied.end();
  });
}

std::string use_name(std::string_view parameter) { return std::string(parameter) + "@head"; }

std::string_view parameter_of(std::string_view gradient_name) {
  return gradient_name.substr(0, gradient_name.find('@'));
}

}  // namespace reef::nn
