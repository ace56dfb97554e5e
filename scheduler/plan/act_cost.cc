#include "scheduler/plan/act_cost.h"

#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

/// FLOPs of one of a layer shard's acts, which are told apart by their names. The loss has none to
/// speak of.
double shard_flops(const std::string& act, const cost::Layer& layers) {
  if (act == "forward") return layers.forward_flops;
  if (act == "backward input") return layers.backward_flops - layers.weight_gradient_flops;
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

}  // namespace

bool computes(ActorKind kind) {
  return kind == ActorKind::kLayerShard || kind == ActorKind::kOptimizer ||
         kind == ActorKind::kGradientSync || kind == ActorKind::kAllGather;
}

double act_seconds(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t act) {
  const Node& node = plan.nodes[actor.node];
  if (actor.kind == ActorKind::kLayerShard && actor.acts[act].name != "loss") {
    const auto layers = cost::range_cost(spec, actor.first_layer, actor.last_layer, tokens);
    return shard_flops(actor.acts[act].name, layers) /
           cost::flops_per_second(node.device, node.threads);
  }
  return bytes_passed(plan, actor, act) /
         (computes(actor.kind) ? cost::bytes_per_second(node.device) : cost::kMemoryBytesPerSecond);
}

}  // namespace reef::plan
