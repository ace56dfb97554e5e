#include "scheduler/plan/stages.h"

#include <algorithm>

#include "ops/codec/edge.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/layout.h"

namespace reef::plan {
namespace {

void add_parts(const nn::ModelSpec& spec, const nn::Layer& layer, StageSize& size) {
  for (const nn::Parameter& parameter : layer.parameters)
    size.parts.push_back(codec::matrix_of(parameter.shape));
  for (const nn::Layer& other : spec.layers) {
    for (const nn::Parameter& parameter : other.parameters) {
      if (std::ranges::find(layer.tied, parameter.name) == layer.tied.end()) continue;
      size.parts.push_back(codec::matrix_of(parameter.shape));
      size.tied_parts.push_back(codec::matrix_of(parameter.shape));
    }
  }
}

}  // namespace

StageSize size_of(const nn::ModelSpec& spec, LayerRange layers, std::uint64_t tokens) {
  const cost::Layer range = cost::range_cost(spec, layers.first, layers.last, tokens);
  StageSize size;
  size.weights = range.weight_bytes;
  size.tied_weights = range.tied_weight_bytes;
  size.gradients = 4 * range.parameters;
  size.tied_gradients = 4 * range.tied_parameters;
  size.stash = range.stash_bytes;
  size.later = range.later_bytes;
  size.recomputed = range.recomputed_bytes;
  size.flops = range.forward_flops + range.backward_flops;
  for (std::uint32_t i = layers.first; i < layers.last; ++i) add_parts(spec, spec.layers[i], size);
  return size;
}

placement::Shards shards_of(const job::Parallelism& parallelism) {
  return {parallelism.replicas(), parallelism.pp, parallelism.tp, parallelism.cp};
}

std::vector<std::uint32_t> cut_stages(const job::Job& job, const topology::Topology& topology,
                                      const nn::ModelSpec& spec, placement::Spread spread) {
  std::vector<std::uint32_t> cuts{0};
  for (const std::uint32_t layers : job.parallelism.layers) cuts.push_back(cuts.back() + layers);
  if (cuts.size() > 1) return cuts;
  std::vector<double> costs, speeds;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const cost::Layer layer = cost::layer_cost(spec, i, tokens_per_leaf(job));
    costs.push_back(layer.forward_flops + layer.backward_flops);
  }
  for (const topology::Node& node : topology.nodes)
    speeds.push_back(cost::flops_per_second(node.device, node.threads));
  const job::Parallelism& parallelism = job.parallelism;
  const double mean = static_cast<double>(job.training.leaves) / parallelism.dp;
  std::vector<double> work;
  for (const std::uint32_t count : parallelism.micro_batches) work.push_back(count / mean);
  return placement::cut(costs, placement::stage_speeds(spread, shards_of(parallelism), speeds,
                                                       parallelism.stages(), work));
}

}  // namespace reef::plan
