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

/// Of matrices and activations.
DType dtype_of(Precision precision) {
  return precision == Precision::kBF16 ? DType::kBF16 : DType::kF32;
}

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

ModelSpec model_spec(const ModelConfig& config, Precision precision) {
  CHECK(problem_of(config).empty()) << problem_of(config);
  ModelSpec spec;
  spec.config = config;
  spec.activations = dtype_of(precision);
  const auto* gpt = std::get_if<GptConfig>(&config);
  spec.layers = gpt != nullptr ? gpt_layers(*gpt, spec.activations)
                               : llama_layers(std::get<LlamaConfig>(config), spec.activations);
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
