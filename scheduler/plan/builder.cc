#include "scheduler/plan/builder.h"

#include <algorithm>

#include "runtime/base/check.h"
#include "scheduler/cost/automatic.h"
#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

bool is_activation(Content content) {
  return content == Content::kActivation || content == Content::kActivationGradient;
}

std::uint64_t least_slots(const Join& join) { return is_activation(join.content) ? 2 : 1; }

/// A gradient or weight waits for its partner's before the next one leaves: more than one is never
/// there.
std::uint64_t most_slots(const Join& join) {
  const bool alone = join.content == Content::kGradient || join.content == Content::kWeights;
  return std::max<std::uint64_t>(least_slots(join), alone ? 1 : join.tokens);
}

}  // namespace

Node plan_node(const topology::Node& node) {
  return {node.name,    node.datacenter, node.memory, node.threads,
          node.address, node.dialable,   node.ucx,    node.device};
}

Builder::Builder(const job::Job& job, const topology::Topology& topology)
    : job_(job), topology_(topology) {
  for (const topology::Node& node : topology.nodes) plan_.nodes.push_back(plan_node(node));
}

ActorId Builder::add(Actor actor) {
  actor.id = static_cast<ActorId>(plan_.actors.size());
  plan_.actors.push_back(std::move(actor));
  return plan_.actors.back().id;
}

ActRef Builder::add_act(ActorId actor, std::string name, std::uint32_t firings,
                        std::int32_t priority) {
  auto& acts = plan_.actors[actor].acts;
  acts.push_back({std::move(name), firings, priority, {}, {}});
  return {actor, static_cast<std::uint32_t>(acts.size() - 1)};
}

void Builder::connect(const Join& join) {
  if (node_of(join.from) != node_of(join.to)) return split(join);
  edge(join, join.name, join.from, join.to, join.slots, join.initial, nullptr);
}

void Builder::split(const Join& join) {
  const ActRef send = add_carrier(ActorKind::kSend, join, join.from.actor);
  const ActRef receive = add_carrier(ActorKind::kReceive, join, join.to.actor);
  // A token of before the first round stands at its producer and travels like every later one.
  const topology::Line line = line_between(send, receive);
  edge(join, join.name, join.from, send, join.slots, join.initial, nullptr);
  edge(join, join.name + "/wire", send, receive, wire_slots(join, line), 0, &line);
  edge(join, join.name + "/received", receive, join.to, join.slots, 0, nullptr);
}

ActRef Builder::add_carrier(ActorKind kind, const Join& join, ActorId end) {
  const Actor& owner = plan_.actors[end];
  Actor carrier;
  carrier.kind = kind;
  carrier.name = (kind == ActorKind::kSend ? "send/" : "receive/") + join.name;
  carrier.node = owner.node;
  carrier.replica = owner.replica;
  carrier.stage = owner.stage;
  carrier.rank = owner.rank;
  return add_act(add(std::move(carrier)), kind == ActorKind::kSend ? "send" : "receive",
                 join.tokens);
}

void Builder::edge(const Join& join, const std::string& name, ActRef from, ActRef to,
                   std::uint32_t slots, std::uint32_t initial, const topology::Line* wire) {
  Act& producer = plan_.actors[from.actor].acts[from.act];
  Act& consumer = plan_.actors[to.actor].acts[to.act];
  CHECK(producer.firings % join.tokens == 0 && consumer.firings % join.tokens == 0) << name;
  Edge edge;
  edge.id = static_cast<EdgeId>(plan_.edges.size());
  edge.name = name;
  edge.producer = from.actor;
  edge.producer_act = from.act;
  edge.consumer = to.actor;
  edge.consumer_act = to.act;
  edge.content = join.content;
  edge.tokens = join.tokens;
  edge.slots = slots;
  edge.initial = initial;
  edge.bytes = join.bytes;
  edge.dtype = join.dtype;
  edge.wire = wire != nullptr;
  if (wire != nullptr) {
    edge.codec = codec_of(join.content);
    edge.ratio = ratio_of(join, *wire);
  }
  if (from.actor == join.from.actor) edge.codec = join.rounding;
  producer.outputs.push_back({edge.id, producer.firings / join.tokens});
  consumer.inputs.push_back({edge.id, consumer.firings / join.tokens});
  plan_.edges.push_back(std::move(edge));
}

std::string Builder::codec_of(Content content) const {
  switch (content) {
    case Content::kActivation:
    case Content::kActivationGradient:
      return job_.codecs.activations;
    case Content::kGradient:
      return job_.codecs.gradients;
    case Content::kWeights:
      return job_.codecs.weights;
    case Content::kTokens:
    case Content::kState:
      return "none+zstd";
    case Content::kScalars:
    case Content::kExact:
      return "none";
  }
  return "none";
}

topology::Line Builder::line_between(ActRef from, ActRef to) const {
  return topology::line_between(topology_, plan_.nodes[node_of(from)].datacenter,
                                plan_.nodes[node_of(to)].datacenter);
}

double Builder::ratio_of(const Join& join, const topology::Line& line) const {
  const std::string codec =
      cost::expected_codec(codec_of(join.content), join.dtype, line,
                           static_cast<double>(join.bytes), static_cast<double>(most_slots(join)));
  return cost::codec_ratio(codec, join.dtype, join.parts);
}

/// Enough to keep the line busy, but no more than there are tokens in a round: the rest would lie
/// empty.
std::uint32_t Builder::wire_slots(const Join& join, const topology::Line& line) const {
  const double bytes = static_cast<double>(join.bytes) * ratio_of(join, line);
  return static_cast<std::uint32_t>(
      std::clamp(cost::slots_to_fill(line, bytes), least_slots(join), most_slots(join)));
}

}  // namespace reef::plan
