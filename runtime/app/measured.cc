#include "runtime/app/measured.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/functional/functional.h"
#include "ops/tune/processor.h"
#include "runtime/app/bench/bench.h"
#include "runtime/app/bench/roofline.h"
#include "runtime/app/practice.h"

namespace reef::app {
namespace {

constexpr int kWarmup = 12;  ///< micro-batches: the tuner asks its questions in the first ones
constexpr std::chrono::seconds kSpan{4};
constexpr std::chrono::seconds kSweepSpan{1};
constexpr std::size_t kLeastSamples = 5;
constexpr std::int64_t kBlocks = 2;
constexpr std::int64_t kVocabulary = 256;  ///< so that the blocks are nearly all of the work
constexpr std::int64_t kSweep = 16 << 20;  ///< elements of each of three tensors: 64 MiB

double rate_of(const std::vector<Ran>& ran, bool (*wanted)(ops::Op)) {
  double flops = 0, seconds = 0;
  for (const Ran& one : ran) {
    if (!wanted(one.op)) continue;
    flops += one.cost.flops;
    seconds += one.seconds;
  }
  return seconds > 0 ? flops / seconds : 0;
}

machine::Rates measure_rates(ops::Context& context, const nn::ModelConfig& blocks,
                             nn::Precision precision, std::int64_t sequences, std::int64_t length) {
  Practice practice(context, blocks, precision, sequences, length);
  for (int i = 0; i < kWarmup; ++i) practice.differentiate();
  const Duration taken = mean_time(kSpan, kLeastSamples, [&practice] { practice.differentiate(); });
  double flops = 0;
  for (const nn::Layer& layer : nn::model_spec(blocks, precision).layers)
    flops += 3 * layer.forward_flops_per_token;  // backward is twice forward
  flops *= static_cast<double>(sequences * length);
  const CostMeter meter;
  practice.differentiate();
  return {rate_of(meter.ran(), [](ops::Op op) { return op == ops::Op::kMatmul; }),
          rate_of(meter.ran(),
                  [](ops::Op op) {
                    return op == ops::Op::kAttention || op == ops::Op::kAttentionGrad;
                  }),
          flops / seconds(taken)};
}

double measure_bandwidth(ops::Context& context) {
  const auto a = ops::fill(context, ops::DType::kF32, {kSweep}, 1);
  const auto b = ops::fill(context, ops::DType::kF32, {kSweep}, 2);
  const Duration taken = mean_time(kSweepSpan, kLeastSamples, [&] { ops::add(context, a, b); });
  return 3 * static_cast<double>(a.size_bytes()) / seconds(taken);
}

/// The same model with as little around its blocks as they need.
nn::ModelConfig shortened(nn::ModelConfig model) {
  if (auto* gpt = std::get_if<nn::GptConfig>(&model)) {
    gpt->n_layer = kBlocks;
    gpt->vocab_size = std::min(kVocabulary, gpt->vocab_size);
  } else {
    auto& llama = std::get<nn::LlamaConfig>(model);
    llama.num_hidden_layers = kBlocks;
    llama.vocab_size = std::min(kVocabulary, llama.vocab_size);
  }
  return model;
}

bool is_here(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

}  // namespace

machine::Profile measure_profile(ops::Context& context, const nn::ModelConfig& model,
                                 std::int64_t sequences, std::int64_t length) {
  const nn::ModelConfig blocks = shortened(model);
  machine::Profile profile;
  profile.block = fmt::format("{} of width {}, {} x {} tokens", nn::family_of(model),
                              nn::width_of(model), sequences, length);
  profile.fp32 = measure_rates(context, blocks, nn::Precision::kF32, sequences, length);
  profile.bf16 = measure_rates(context, blocks, nn::Precision::kBF16, sequences, length);
  profile.bandwidth = measure_bandwidth(context);
  return profile;
}

Result<machine::Profiles> kept_profiles() {
  return machine::ProfileFile(machine::default_profile_path()).read(ops::tune::processor_text());
}

topology::Topology with_profiles(topology::Topology topology, const machine::Profiles& profiles,
                                 nn::Precision precision) {
  for (topology::Node& node : topology.nodes) {
    const auto found = profiles.find(node.threads);
    if (node.device.speed > 0 || !is_here(node.address) || found == profiles.end()) continue;
    const machine::Profile& profile = found->second;
    node.device.speed = (precision == nn::Precision::kBF16 ? profile.bf16 : profile.fp32).block;
    if (node.device.bandwidth == 0) node.device.bandwidth = profile.bandwidth;
  }
  return topology;
}

Result<topology::Topology> read_measured_topology(const std::string& path,
                                                  nn::Precision precision) {
  ATOLL_ASSIGN(auto topology, topology::read_topology(path));
  ATOLL_ASSIGN(const auto profiles, kept_profiles());
  return with_profiles(std::move(topology), profiles, precision);
}

}  // namespace reef::app
