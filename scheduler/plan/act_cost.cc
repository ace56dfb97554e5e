#include "scheduler/plan/act_cost.h"

#include "scheduler/cost/cost.h"
#include "scheduler/plan/pieces.h"

namespace reef::plan {
namespace {

/// FLOPs of one of a layer shard's acts, which are told apart by their names. The loss and its
/// statistics have none to speak of.
double shard_flops(const std::string& act, const cost::Layer& layers) {
  if (act.starts_with("forward")) return layers.forward_flops;
  if (act.starts_with("backward input"))
    return layers.backward_flops - layers.weight_gradient_flops;
  if (act == "backward weights") return layers.weight_gradient_flops;
  return layers.backward_flops;
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

/// Of one of a layer shard's acts: in a plan with ranks a pass is that of one segment.
LayerRange layers_of(const Plan& plan, const Actor& actor, std::size_t act) {
  const std::size_t segments = actor.last_layer - actor.first_layer;
  if (plan.ranks == 1 || act >= 2 * segments) return {actor.first_layer, actor.last_layer};
  const auto layer = static_cast<std::uint32_t>(actor.first_layer + act % segments);
  return {layer, layer + 1};
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
    const LayerRange range = layers_of(plan, actor, act);
    const auto layers = cost::range_cost(spec, range.first, range.last, tokens);
    return shard_flops(actor.acts[act].name, layers) /
           cost::flops_per_second(node.device, node.threads);
  }
  return bytes_passed(plan, actor, act) /
         (computes(actor.kind) ? cost::bytes_per_second(node.device) : cost::kMemoryBytesPerSecond);
}

}  // namespace reef::plan
