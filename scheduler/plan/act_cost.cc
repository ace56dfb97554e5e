#include "scheduler/plan/act_cost.h"

#include "scheduler/cost/cost.h"
#include "scheduler/plan/segments.h"

namespace reef::plan {
namespace {

/// FLOPs of one firing of one of a layer shard's acts, which are told apart by their names; those
/// of a ring are about alike. The loss and its statistics have none to speak of.
double shard_flops(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t index) {
  const std::string& act = actor.acts[index].name;
  const Segments segments = segments_of(plan, actor);
  const bool pass = index < 2 * std::size_t{segments.count()};
  const auto segment = static_cast<std::uint32_t>(index % segments.count());
  const LayerRange range =
      pass ? segments.layers(segment) : LayerRange{actor.first_layer, actor.last_layer};
  const cost::Layer layers = cost::range_cost(spec, range.first, range.last, tokens);
  if (!pass) return layers.weight_gradient_flops;
  if (act.starts_with("forward")) return layers.forward_flops / segments.forward_firings(segment);
  const bool half = act.starts_with("backward input");
  return (layers.backward_flops - (half ? layers.weight_gradient_flops : 0)) /
         segments.backward_firings(segment);
}

double bytes_passed(const Plan& plan, const Actor& actor, std::size_t index) {
  const Act& act = actor.acts[index];
  const bool updates = actor.kind == ActorKind::kOptimizer && index > 0;
  double bytes = updates ? static_cast<double>(actor.state_bytes) : 0;
  for (const auto* ports : {&act.inputs, &act.outputs}) {
    for (const Port& port : *ports) {
      const Edge& edge = plan.edges[port.edge];
      if (edge.content != Content::kState) bytes += static_cast<double>(edge.bytes) * edge.ratio;
    }
  }
  return bytes;
}

bool judges(const Act& act) { return act.name == "loss" || act.name == "statistics"; }

}  // namespace

bool computes(ActorKind kind) {
  return kind == ActorKind::kLayerShard || kind == ActorKind::kOptimizer ||
         kind == ActorKind::kGradientSync || kind == ActorKind::kAllGather ||
         kind == ActorKind::kAllReduce || kind == ActorKind::kJoin;
}

double act_seconds(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t act) {
  const Node& node = plan.nodes[actor.node];
  if (actor.kind == ActorKind::kLayerShard && !judges(actor.acts[act])) {
    return shard_flops(plan, spec, tokens, actor, act) /
           cost::flops_per_second(node.device, node.threads);
  }
  return bytes_passed(plan, actor, act) /
         (computes(actor.kind) ? cost::bytes_per_second(node.device) : cost::kMemoryBytesPerSecond);
}

}  // namespace reef::plan
