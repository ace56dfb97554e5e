#include "scheduler/plan/act_cost.h"

#include "scheduler/cost/cost.h"
#include "scheduler/plan/segments.h"

namespace reef::plan {
namespace {

/// One firing of one of a layer shard's acts, which are told apart by their names; those of a ring
/// are about alike: FLOPs of layers, and one addition to sums where they give gradients. The loss
/// and its statistics have nothing to speak of.
double shard_seconds(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                     const Actor& actor, std::size_t index) {
  const std::string& act = actor.acts[index].name;
  const Segments segments = segments_of(plan, actor);
  const bool pass = index < 2 * std::size_t{segments.count()};
  const auto segment = static_cast<std::uint32_t>(index % segments.count());
  const auto bucket = static_cast<std::uint32_t>(index - 2 * std::size_t{segments.count()});
  const LayerRange range = pass ? segments.layers(segment) : segments.buckets().layers(bucket);
  const cost::Layer layers = cost::range_cost(spec, range.first, range.last, tokens);
  const Node& node = plan.nodes[actor.node];
  const double rate = cost::flops_per_second(node.device, node.threads);
  const double addition = 3.0 * sizeof(float) *
                          static_cast<double>(layers.parameters + layers.tied_parameters) /
                          cost::bytes_per_second(node.device);
  if (!pass) return layers.weight_gradient_flops / rate + addition;
  if (act.starts_with("forward"))
    return layers.forward_flops / rate / segments.forward_firings(segment);
  const bool half = act.starts_with("backward input");
  if (half)
    return (layers.backward_flops - layers.weight_gradient_flops) / rate /
           segments.backward_firings(segment);
  return (layers.backward_flops / rate + addition) / segments.backward_firings(segment);
}

double bytes_passed(const Plan& plan, const Actor& actor, std::size_t index) {
  const Act& act = actor.acts[index];
  const bool updates = actor.kind == ActorKind::kOptimizer && index > 0;
  double bytes = updates ? static_cast<double>(actor.state_bytes) : 0;
  for (const auto* ports : {&act.inputs, &act.outputs}) {
    for (const Port& port : *ports) {
      const Edge& edge = plan.edges[port.edge];
      if (edge.content == Content::kState) continue;
      bytes += static_cast<double>(edge.bytes) * edge.ratio / port.group;  // a token for the group
    }
  }
  return bytes;
}

/// Of a sender or receiver, what its message asks of the processor; else nothing. Snapshots are
/// rare and left out.
double message_seconds(const Plan& plan, const Actor& actor) {
  if (actor.kind != ActorKind::kSend && actor.kind != ActorKind::kReceive) return 0;
  const Act& act = actor.acts[0];
  const Edge& wire =
      plan.edges[(actor.kind == ActorKind::kSend ? act.outputs : act.inputs)[0].edge];
  if (wire.content == Content::kState) return 0;
  return cost::message_seconds(static_cast<double>(wire.bytes) * wire.ratio);
}

bool judges(const Act& act) { return act.name == "loss" || act.name == "statistics"; }

}  // namespace

bool computes(ActorKind kind) {
  return kind == ActorKind::kLayerShard || kind == ActorKind::kOptimizer ||
         kind == ActorKind::kGradientSync || kind == ActorKind::kAllGather ||
         kind == ActorKind::kAllReduce || kind == ActorKind::kJoin || kind == ActorKind::kTeacher;
}

double act_seconds(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t act) {
  if (actor.kind == ActorKind::kLayerShard && !judges(actor.acts[act]))
    return shard_seconds(plan, spec, tokens, actor, act);
  const Node& node = plan.nodes[actor.node];
  const double rate =
      computes(actor.kind) ? cost::bytes_per_second(node.device) : cost::kMemoryBytesPerSecond;
  return bytes_passed(plan, actor, act) / rate + message_seconds(plan, actor);
}

}  // namespace reef::plan
