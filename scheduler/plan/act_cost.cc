#include "scheduler/plan/act_cost.h"

#include "ops/nn/tensor_rank.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/passes.h"

namespace reef::plan {
namespace {

constexpr std::string_view kSecondHalf = "backward weights";

/// FLOPs of one firing of a ring's act. Products of a layer are those before attention, up to the
/// ring, and one behind it; meetings are alike (ops/nn/ring_attention.h). Products for gradients of
/// weights wait for the layer's last act.
double ring_flops(Pass pass, const nn::Heads& heads, const cost::Layer& layer, double context,
                  bool halves) {
  const auto queries = static_cast<double>(heads.queries), keys = static_cast<double>(heads.keys);
  const double products = layer.weight_gradient_flops;
  const double before = products * (queries + 2 * keys) / (2 * queries + 2 * keys);
  const double behind = products - before;
  const double meeting = (layer.forward_flops - products) / context;
  const double meeting_back = (layer.backward_flops - 2 * products) / context;
  switch (pass) {
    case Pass::kForwardOpen:
      return before + meeting;
    case Pass::kForwardAttend:
      return meeting + behind / (context - 1);
    case Pass::kBackwardClose:
      return behind + meeting_back;
    case Pass::kBackwardAttend:
      return meeting_back;
    default:
      return before + (halves ? 0 : products);
  }
}

/// FLOPs of one firing of one of a layer shard's acts. The loss and its statistics have none to
/// speak of.
double shard_flops(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t index) {
  const Passes passes = passes_of(plan, actor);
  const auto cost_of = [&](LayerRange range) {
    return cost::range_cost(spec, range.first, range.last, tokens);
  };
  if (index >= passes.count())
    return cost_of({actor.first_layer, actor.last_layer}).weight_gradient_flops;
  const PassAct act = passes.acts()[index];
  const cost::Layer layers = cost_of(passes.layers(act.segment));
  const bool halves =
      actor.acts.size() > passes.count() && actor.acts[passes.count()].name == kSecondHalf;
  if (passes.is_ring(act.segment))
    return ring_flops(act.pass, nn::heads_of(spec), layers, plan.context, halves);
  if (act.pass == Pass::kForward) return layers.forward_flops;
  return layers.backward_flops - (halves ? layers.weight_gradient_flops : 0);
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
