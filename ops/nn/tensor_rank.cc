#include "ops/nn/tensor_rank.h"

#include "runtime/base/check.h"

namespace reef::nn {
namespace {

/// Of `extent`, the rank's part of each group.
std::vector<Part::Range> ranges_of(const Sharing& sharing, std::int64_t extent, TensorRank tensor) {
  const std::int64_t group = extent / sharing.groups;
  const std::int64_t units = group / sharing.unit;
  const auto bound = [&](std::int64_t rank) { return units * rank / tensor.ranks * sharing.unit; };
  std::vector<Part::Range> ranges;
  for (std::int64_t g = 0; g < sharing.groups; ++g) {
    const std::int64_t first = bound(tensor.rank);
    ranges.push_back({g * group + first, bound(tensor.rank + 1) - first});
  }
  return ranges;
}

Parameter split(const Parameter& whole, TensorRank tensor) {
  Parameter parameter = whole;
  const std::size_t axis = whole.sharing.axis;
  parameter.part = Part{whole.shape, axis, ranges_of(whole.sharing, whole.shape[axis], tensor)};
  parameter.shape[axis] = 0;
  for (const Part::Range& range : parameter.part->ranges) parameter.shape[axis] += range.count;
  return parameter;
}

/// `share`: of the vocabulary, for layers without a table of their own.
Layer layer_of_rank(const Layer& whole, TensorRank tensor, double share) {
  Layer layer = whole;
  layer.parameters.clear();
  double split_elements = 0, held = 0;
  for (const Parameter& parameter : whole.parameters) {
    if (parameter.sharing.kind == Sharing::Kind::kFirst && !tensor.is_first()) continue;
    if (parameter.sharing.kind != Sharing::Kind::kSplit) {
      layer.parameters.push_back(parameter);
      continue;
    }
    layer.parameters.push_back(split(parameter, tensor));
    split_elements += static_cast<double>(parameter.elements());
    held += static_cast<double>(layer.parameters.back().elements());
  }
  if (split_elements > 0) share = held / split_elements;
  const auto shared = [share](double all, double copied) {
    return copied + (all - copied) * share;
  };
  layer.forward_flops_per_token *= share;
  layer.weight_gradient_flops_per_token *= share;
  layer.stash_bytes_per_token =
      shared(layer.stash_bytes_per_token, layer.copied_stash_bytes_per_token);
  layer.later_bytes_per_token =
      shared(layer.later_bytes_per_token, layer.copied_later_bytes_per_token);
  return layer;
}

bool drops(const ModelConfig& config) {
  const auto* gpt = std::get_if<GptConfig>(&config);
  return gpt != nullptr && (gpt->embd_pdrop > 0 || gpt->attn_pdrop > 0 || gpt->resid_pdrop > 0);
}

/// What cannot be split further: heads of keys and values.
std::int64_t most_ranks(const ModelConfig& config) {
  if (const auto* gpt = std::get_if<GptConfig>(&config)) return gpt->n_head;
  return std::get<LlamaConfig>(config).key_value_heads();
}

}  // namespace

ModelSpec spec_of_rank(const ModelSpec& whole, TensorRank tensor) {
  CHECK(whole.tensor.ranks == 1 && tensor.rank < tensor.ranks);
  if (tensor.ranks == 1) return whole;
  ModelSpec spec = whole;
  spec.tensor = tensor;
  const double share = static_cast<double>(columns_of(spec).count) /
                       static_cast<double>(vocabulary_of(whole.config));
  for (Layer& layer : spec.layers) layer = layer_of_rank(layer, tensor, share);
  // Beside its token, whether that is among the rank's, and on the first rank at most its position.
  spec.layers.front().stash_bytes_per_token += tensor.is_first() ? 5 : 1;
  return spec;
}

std::string problem_of(const ModelConfig& config, std::uint32_t ranks) {
  if (ranks == 1) return {};
  if (ranks > most_ranks(config)) {
    return std::to_string(ranks) + " ranks cannot share " + std::to_string(most_ranks(config)) +
           " heads; at most as many ranks as heads of keys and values";
  }
  if (drops(config))
    return "layers that several ranks share have no dropout yet; set the model's to 0";
  return {};
}

bool is_copied(const Parameter& parameter, TensorRank tensor) {
  return tensor.ranks > 1 && parameter.sharing.kind == Sharing::Kind::kCopied;
}

bool speaks_for(const Parameter& parameter, TensorRank tensor) {
  return tensor.is_first() || !is_copied(parameter, tensor);
}

Heads heads_of(const ModelSpec& spec) {
  const auto held = [&](std::int64_t groups) {
    return ranges_of(Sharing::split(0), groups, spec.tensor).front().count;
  };
  if (const auto* gpt = std::get_if<GptConfig>(&spec.config)) {
    const std::int64_t heads = held(gpt->n_head);
    return {heads, heads, gpt->n_embd / gpt->n_head};
  }
  const auto& llama = std::get<LlamaConfig>(spec.config);
  const std::int64_t keys = held(llama.key_value_heads());
  return {keys * (llama.num_attention_heads / llama.key_value_heads()), keys, llama.head_size()};
}

Part::Range columns_of(const ModelSpec& spec) {
  return ranges_of(Sharing::split(0), vocabulary_of(spec.config), spec.tensor).front();
}

const std::vector<std::int64_t>& whole_shape(const Parameter& parameter) {
  return parameter.part ? parameter.part->whole : parameter.shape;
}

std::int64_t whole_elements(const Parameter& parameter) {
  std::int64_t product = 1;
  for (const std::int64_t extent : whole_shape(parameter)) product *= extent;
  return product;
}

}  // namespace reef::nn
