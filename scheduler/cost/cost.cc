#include "scheduler/cost/cost.h"

#include <algorithm>
#include <cmath>

#include "ops/codec/edge.h"

namespace reef::cost {
namespace {

struct Size {
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;  ///< as forward sees them
};

Size size_of(const nn::Parameter& parameter) {
  const auto elements = static_cast<std::uint64_t>(parameter.elements());
  return {elements, elements * ops::size_of(parameter.dtype)};
}

Size size_of(const nn::ModelSpec& spec, const std::string& name) {
  for (const nn::Layer& layer : spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      if (parameter.name == name) return size_of(parameter);
    }
  }
  return {};
}

/// Bytes of an element as it travels; fp8, int8 and int4 with zstd as measured on the
/// quickstart's pseudo-gradients (`atoll bench codec --all`), the others on gradients.
double encoded_bytes(codec::Codec codec, double raw_bytes) {
  switch (codec.lossy) {
    case codec::Lossy::kNone:
      return raw_bytes == 2 ? (codec.zstd ? 4 / 2.9 : 2) : (codec.zstd ? 4 / 1.1 : 4);
    case codec::Lossy::kBF16:
      return codec.zstd ? 4 / 2.9 : 2;
    case codec::Lossy::kFP8:
      return codec.zstd ? 0.84 : 1.016;
    case codec::Lossy::kInt8:
      return codec.zstd ? 0.94 : 1.016;
    case codec::Lossy::kInt4:
      return codec.zstd ? 0.49 : 0.5625;
    case codec::Lossy::kInt2:
      return 0.3125;
  }
  return raw_bytes;
}

/// Of a kept value's position; with zstd as measured on 1.5 % of the same pseudo-gradients.
double gap_bytes(codec::Codec values) { return values.zstd ? 0.63 : 1; }

/// The codec of what is left when feedback has thrown away its part.
struct WithoutState {
  codec::Codec operator()(const codec::Codec& codec) const { return codec; }
  codec::Codec operator()(const codec::TopK& codec) const { return codec.values; }
  codec::Codec operator()(const codec::PowerSgd& codec) const { return codec.factors; }
  codec::Codec operator()(const codec::Automatic& codec) const {
    return codec::first_choice(codec);
  }
};

}  // namespace

Layer layer_cost(const nn::ModelSpec& spec, std::size_t index, std::uint64_t tokens) {
  const nn::Layer& layer = spec.layers.at(index);
  const auto count = static_cast<double>(tokens);
  Layer cost;
  cost.forward_flops = layer.forward_flops_per_token * count;
  cost.backward_flops = (layer.recomputed ? 3 : 2) * cost.forward_flops;
  cost.weight_gradient_flops = layer.weight_gradient_flops_per_token * count;
  for (const nn::Parameter& parameter : layer.parameters) {
    const Size size = size_of(parameter);
    cost.parameters += size.elements;
    cost.weight_bytes += size.bytes;
  }
  for (const std::string& name : layer.tied) {
    const Size size = size_of(spec, name);
    cost.tied_parameters += size.elements;
    cost.tied_weight_bytes += size.bytes;
  }
  const auto bytes = [count](double per_token) {
    return static_cast<std::uint64_t>(std::ceil(per_token * count));
  };
  const std::uint64_t kept = bytes(layer.stash_bytes_per_token);
  const auto input = static_cast<double>(ops::size_of(spec.activations)) *
                     static_cast<double>(nn::width_of(spec.config));
  cost.stash_bytes = layer.recomputed ? bytes(input) : kept;
  cost.recomputed_bytes = layer.recomputed ? kept : 0;
  cost.later_bytes = bytes(layer.later_bytes_per_token);
  return cost;
}

Layer range_cost(const nn::ModelSpec& spec, std::size_t first, std::size_t last,
                 std::uint64_t tokens) {
  Layer sum;
  for (std::size_t i = first; i < last; ++i) {
    const Layer one = layer_cost(spec, i, tokens);
    sum.forward_flops += one.forward_flops;
    sum.backward_flops += one.backward_flops;
    sum.weight_gradient_flops += one.weight_gradient_flops;
    sum.parameters += one.parameters;
    sum.tied_parameters += one.tied_parameters;
    sum.weight_bytes += one.weight_bytes;
    sum.tied_weight_bytes += one.tied_weight_bytes;
    sum.stash_bytes += one.stash_bytes;
    sum.recomputed_bytes = std::max(sum.recomputed_bytes, one.recomputed_bytes);
    sum.later_bytes += one.later_bytes;
  }
  return sum;
}

double flops_per_second(const topology::Device& device, std::uint32_t threads) {
  return device.speed > 0 ? device.speed : kFlopsPerThread * threads;
}

double bytes_per_second(const topology::Device& device) {
  if (device.bandwidth > 0) return device.bandwidth;
  return device.speed > 0 ? device.speed * kMemoryBytesPerSecond / kFlopsPerThread
                          : kMemoryBytesPerSecond;
}

double codec_ratio(std::string_view codec, ops::DType dtype, std::span<const codec::Matrix> parts) {
  const auto known = codec::parse_edge(codec);
  if (!known.ok()) return 1;
  const codec::Codec plain = std::visit(WithoutState(), *known);
  const auto raw_bytes = static_cast<double>(ops::size_of(dtype));
  const bool rounds = dtype == ops::DType::kF32 || dtype == ops::DType::kBF16;
  if (!rounds) return plain.zstd ? 1 / 1.1 : 1;
  const double element = encoded_bytes(plain, raw_bytes);
  if (const auto* sparse = std::get_if<codec::TopK>(&*known))
    return std::min(1.0, sparse->fraction * (element + gap_bytes(plain)) / raw_bytes);
  if (const auto* low_rank = std::get_if<codec::PowerSgd>(&*known))
    return codec::factor_share(*low_rank, parts) * element / raw_bytes;
  return element / raw_bytes;
}

bool codec_is_lossy(std::string_view codec, ops::DType dtype) {
  const auto known = codec::parse_edge(codec);
  if (!known.ok() || !codec::rounds(*known)) return false;
  const auto* plain = std::get_if<codec::Codec>(&*known);
  if (dtype == ops::DType::kBF16) return plain == nullptr || plain->lossy != codec::Lossy::kBF16;
  return dtype == ops::DType::kF32;
}

double message_seconds(double bytes) { return kMessageSeconds + bytes / kMessageBytesPerSecond; }

double transfer_seconds(const topology::Line& line, double bytes) { return bytes * 8 / line.rate; }

std::uint64_t slots_to_fill(const topology::Line& line, double bytes) {
  const double in_flight = line.rate / 8 * seconds(line.round_trip) / std::max(bytes, 1.0);
  return static_cast<std::uint64_t>(std::ceil(std::min(in_flight, 1e6))) + 1;
}

}  // namespace reef::cost
