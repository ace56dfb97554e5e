#include "scheduler/plan/validate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <unordered_set>

#include "ops/codec/edge.h"
#include "runtime/base/utf8.h"
#include "scheduler/plan/buckets.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/shape.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {
namespace {

using topology::kMostNodes;
constexpr std::size_t kMostActors = 1 << 20;
constexpr std::size_t kMostEdges = 1 << 21;
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestText = 1 << 20;
constexpr std::uint32_t kMostReplicas = 1024;  ///< and stages, leaves, threads of a node
constexpr std::uint32_t kMostContext = 64;     ///< else rings would take long to prove live
constexpr std::size_t kMostBuckets = 256;      ///< likewise what fires for each
constexpr std::uint32_t kMostSlots = 1 << 16;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 48;
constexpr double kHighestSpeed = 1e24;  ///< FLOP/s and bytes/s of a device

Error broken(const std::string& where, const std::string& what) {
  return Error{Code::kProto, "plan: " + printable(where), what};
}

bool good_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && first_bad_utf8(name) == name.size();
}

/// Codecs with feedback are for gradients, whose owners keep a residual.
bool fits(const std::string& codec, const Edge& edge) {
  const auto known = codec::parse_edge(codec);
  return known.ok() && (!codec::has_feedback(*known) ||
                        (edge.content == Content::kGradient && edge.dtype == ops::DType::kF32));
}

bool can_hold(Content content, ops::DType dtype) {
  switch (content) {
    case Content::kTokens:
      return dtype == ops::DType::kI32;
    case Content::kActivation:
    case Content::kActivationGradient:
    case Content::kWeights:
    case Content::kExact:
      return dtype == ops::DType::kF32 || dtype == ops::DType::kBF16;
    case Content::kGradient:
    case Content::kState:
      return dtype == ops::DType::kF32;
    case Content::kScalars:
      return dtype == ops::DType::kF64;
  }
  return false;
}

bool carries(ActorKind kind) { return kind == ActorKind::kSend || kind == ActorKind::kReceive; }

class Validator {
 public:
  explicit Validator(const Plan& plan) : plan_(plan), sharing_(sharing_of(plan)) {}

  Status run() {
    ATOLL_TRY(header());
    for (const Node& node : plan_.nodes) ATOLL_TRY(check(node));
    for (std::size_t i = 0; i < plan_.edges.size(); ++i) ATOLL_TRY(check(plan_.edges[i], i));
    seen_.assign(plan_.edges.size(), {});
    for (std::size_t i = 0; i < plan_.actors.size(); ++i) ATOLL_TRY(check(plan_.actors[i], i));
    for (const Edge& edge : plan_.edges) {
      const Ends& ends = seen_[edge.id];
      if (!ends.produced || !ends.consumed) return broken(edge.name, "an end without a port");
    }
    ATOLL_TRY(routes());
    return memory();
  }

 private:
  struct Ends {
    bool produced = false;
    bool consumed = false;
  };

  Status header() const {
    if (!good_name(plan_.job)) return broken("job", "not a name");
    if (plan_.descriptor.size() > kLongestText || plan_.layout.size() > kLongestText) {
      return broken("descriptor", "longer than a descriptor can be");
    }
    if (plan_.nodes.empty() || plan_.nodes.size() > kMostNodes)
      return broken("nodes", "none or too many");
    if (plan_.actors.size() > kMostActors) return broken("actors", "too many");
    if (plan_.edges.size() > kMostEdges) return broken("edges", "too many");
    const auto power = [](std::uint32_t n) { return std::has_single_bit(n) && n <= kMostReplicas; };
    if (!power(plan_.context) || plan_.context > std::min(kMostContext, plan_.replicas))
      return broken("context", "not a power of two that divides the replicas, or too many");
    if (!power(plan_.replicas) || !power(plan_.leaves) ||
        plan_.replicas / plan_.context > plan_.leaves) {
      return broken("replicas", "not a power of two whose contexts divide the leaves");
    }
    ATOLL_TRY(micro_batches());
    const auto& cuts = plan_.buckets;
    if (cuts.size() > kMostBuckets) return broken("buckets", "too many");
    if (std::ranges::adjacent_find(cuts, std::greater_equal<>()) != cuts.end())
      return broken("buckets", "not in the order of layers");
    if (plan_.stages < 1 || plan_.stages > kMostReplicas)
      return broken("stages", "none or too many");
    if (!power(plan_.ranks)) return broken("ranks", "not a power of two, or too many");
    const bool shares_others = plan_.ranks > 1 || plan_.context > 1;
    if (plan_.shares_weights && (shares_others || !sharing_.state))
      return broken("weights", "shared out among those who do not share state, or share layers");
    if (!std::isfinite(plan_.predicted_step_seconds) || plan_.predicted_step_seconds < 0) {
      return broken("predicted step", "not a time");
    }
    return {};
  }

  /// After the counts that they deal out.
  Status micro_batches() const {
    const auto& counts = plan_.micro_batches;
    if (counts.empty()) return {};
    const std::uint64_t dealt = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (counts.size() != plan_.replicas / plan_.context || dealt != plan_.leaves ||
        std::ranges::find(counts, 0u) != counts.end())
      return broken("micro-batches", "do not deal out the leaves, to each replica some");
    if (std::ranges::all_of(counts, [&](std::uint32_t count) { return count == counts[0]; }))
      return broken("micro-batches", "are listed, but are equal");
    if (sums_each_micro_batch(plan_))
      return broken("micro-batches", "are unequal, but replicas meet after each");
    if (plan_.shares_weights)
      return broken("micro-batches", "are unequal, but replicas gather weights for each");
    return {};
  }

  Status check(const Node& node) {
    if (!good_name(node.name) || !nodes_.insert(node.name).second) {
      return broken(node.name, "not a name, or the name of two nodes");
    }
    if (!good_name(node.datacenter) || !good_name(node.address)) {
      return broken(node.name, "a datacenter or address that is not a name");
    }
    if (!node.ucx.empty() && !good_name(node.ucx)) {
      return broken(node.name, "devices for UCX that are no names");
    }
    if (node.threads < 1 || node.threads > 4096)
      return broken(node.name, "a count of threads that cannot be");
    if (node.dialable > Reach::kAnywhere) return broken(node.name, "dialable from nowhere known");
    const auto rate = [](double value) {
      return value == 0 || (value >= 1 && value <= kHighestSpeed);
    };
    if (!rate(node.device.speed) || !rate(node.device.bandwidth))
      return broken(node.name, "a speed or bandwidth that cannot be");
    if (!node.device.name.is_valid()) return broken(node.name, "a device that cannot be");
    if (node.device.paced && node.device.speed == 0)
      return broken(node.name, "paced without a speed");
    return {};
  }

  Status check(const Edge& edge, std::size_t index) {
    if (!good_name(edge.name) || !edge_names_.insert(edge.name).second) {
      return broken(edge.name, "not a name, or the name of two edges");
    }
    if (edge.id != index) return broken(edge.name, "its id is not its place");
    if (!has_act(edge.producer, edge.producer_act) || !has_act(edge.consumer, edge.consumer_act)) {
      return broken(edge.name, "an end that is no act");
    }
    if (edge.content > Content::kExact) return broken(edge.name, "unknown content");
    if (edge.slots < 1 || edge.slots > kMostSlots || edge.initial > edge.slots) {
      return broken(edge.name, "slots that cannot be");
    }
    if (!can_hold(edge.content, edge.dtype)) {
      return broken(edge.name, "a dtype that its content does not have");
    }
    if (edge.bytes > kMostBytes) return broken(edge.name, "slots larger than any memory");
    const Actor& producer = plan_.actors[edge.producer];
    const Actor& consumer = plan_.actors[edge.consumer];
    const std::uint32_t produced = producer.acts[edge.producer_act].firings;
    const std::uint32_t consumed = consumer.acts[edge.consumer_act].firings;
    if (edge.tokens < 1 || produced % edge.tokens != 0 || consumed % edge.tokens != 0) {
      return broken(edge.name, "tokens that do not divide the firings of its ends");
    }
    // Tasks rely on it: else a port could have no token where its act always makes one.
    const bool passes = passes_in_turn(edge, producer, consumer);
    if (edge.tokens != (passes ? micro_of(producer) : std::gcd(produced, consumed)))
      return broken(edge.name, "fewer tokens than firings of the end that fires less often");
    if (produced != consumed && !passes && !may_differ(edge, producer, consumer))
      return broken(edge.name, "ends that fire at different rates");
    const bool between_carriers =
        producer.kind == ActorKind::kSend && consumer.kind == ActorKind::kReceive;
    if (edge.wire != between_carriers || edge.wire != (producer.node != consumer.node)) {
      return broken(edge.name, "only wire edges cross nodes, from a sender to a receiver");
    }
    const bool rounds = producer.kind == ActorKind::kGradientSync ||
                        producer.kind == ActorKind::kAllGather ||
                        producer.kind == ActorKind::kAllReduce;
    const bool good_codec = edge.wire ? fits(edge.codec, edge)
                                      : edge.codec.empty() || (rounds && fits(edge.codec, edge));
    if (!good_codec) return broken(edge.name, "a codec that is none, or not for such an edge");
    if (!(edge.ratio > 0 && edge.ratio < 16)) return broken(edge.name, "a ratio that cannot be");
    return {};
  }

  /// Whether a shard whose buckets take turns has it for each micro-batch, however often it fires.
  bool passes_in_turn(const Edge& edge, const Actor& producer, const Actor& consumer) const {
    const bool shard =
        producer.kind == ActorKind::kLayerShard || consumer.kind == ActorKind::kLayerShard;
    return plan_.shares_weights && shard && edge.content != Content::kWeights &&
           edge.content != Content::kGradient && producer.replica < plan_.replicas &&
           consumer.replica == producer.replica;
  }
  std::uint32_t micro_of(const Actor& actor) const {
    return micro_batches_of(plan_, actor.replica);
  }

  /// Whether tasks expect that one end fires more often: gradients are given less often than a
  /// shard or a sync fires, weights are kept by a shard for several firings, and those who share
  /// sequences meet more often than they have micro-batches.
  bool may_differ(const Edge& edge, const Actor& producer, const Actor& consumer) const {
    const std::uint32_t produced = producer.acts[edge.producer_act].firings;
    const std::uint32_t consumed = consumer.acts[edge.consumer_act].firings;
    if (edge.content == Content::kGradient) {
      return produced > consumed &&
             (producer.kind == ActorKind::kLayerShard || producer.kind == ActorKind::kGradientSync);
    }
    if (edge.content == Content::kWeights)
      return produced < consumed &&
             (consumer.kind == ActorKind::kLayerShard ||
              (plan_.shares_weights && consumer.kind == ActorKind::kAllGather));
    const std::uint32_t group = producer.replica / plan_.context;
    if (producer.replica >= plan_.replicas || consumer.replica / plan_.context != group)
      return false;
    const std::uint32_t micro = micro_batches_of(plan_, producer.replica);
    const auto in_ring = [&](std::uint32_t firings) {
      return firings == micro || firings == micro * plan_.context ||
             firings == micro * (plan_.context + 1);
    };
    return plan_.context > 1 && in_ring(produced) && in_ring(consumed);
  }

  bool has_act(ActorId actor, std::uint32_t act) const {
    return actor < plan_.actors.size() && act < plan_.actors[actor].acts.size();
  }

  Status check(const Actor& actor, std::size_t index) {
    if (!good_name(actor.name) || !actor_names_.insert(actor.name).second) {
      return broken(actor.name, "not a name, or the name of two actors");
    }
    if (actor.id != index) return broken(actor.name, "its id is not its place");
    if (actor.node >= plan_.nodes.size() || actor.replica >= plan_.replicas ||
        actor.stage >= plan_.stages || actor.rank >= plan_.ranks) {
      return broken(actor.name, "on a node, replica, stage or rank that is not there");
    }
    if (actor.first_layer > actor.last_layer)
      return broken(actor.name, "layers that end before they begin");
    const std::vector<ActShape> shapes = shapes_of(actor, plan_, sharing_);
    if (shapes.empty()) return broken(actor.name, "unknown kind");
    if (shapes.size() != actor.acts.size()) return broken(actor.name, "not the acts of its kind");
    for (std::uint32_t i = 0; i < actor.acts.size(); ++i) ATOLL_TRY(check(actor, i, shapes[i]));
    return {};
  }

  Status check(const Actor& actor, std::uint32_t index, const ActShape& shape) {
    const Act& act = actor.acts[index];
    const std::string where = actor.name + "." + act.name;
    if (!good_name(act.name)) return broken(where, "not a name");
    const bool right = carries(actor.kind) ? is_rate(act.firings) : act.firings == shape.firings;
    if (!right) return broken(where, "fires at a rate that is not its kind's");
    std::vector<Content> inputs, outputs;
    for (const Port& port : act.inputs) ATOLL_TRY(check(port, actor, index, true, inputs));
    for (const Port& port : act.outputs) ATOLL_TRY(check(port, actor, index, false, outputs));
    if (!matches(shape.inputs, inputs) || !matches(shape.outputs, outputs)) {
      return broken(where, "not the ports of its kind");
    }
    if (carries(actor.kind)) return check_carrier(actor, act);
    return {};
  }

  /// Whether something fires so often. A carrier has one end's replica, but its edge may be of the
  /// other's: of all of them, losses go to one.
  bool is_rate(std::uint32_t firings) {
    if (rates_.empty()) {
      rates_.insert(1);
      for (std::uint32_t r = 0; r < plan_.replicas; r += plan_.context) {
        const std::uint32_t micro = micro_batches_of(plan_, r);
        rates_.insert({micro, micro * plan_.context, micro * (plan_.context + 1)});
      }
      for (const Actor& actor : plan_.actors) {
        if (plan_.shares_weights && actor.kind == ActorKind::kLayerShard)
          rates_.insert(micro_batches_of(plan_, 0) * buckets_of(plan_, actor).count());
      }
    }
    return rates_.contains(firings) && firings > 0;
  }

  Status check(const Port& port, const Actor& actor, std::uint32_t act, bool input,
               std::vector<Content>& contents) {
    const std::string where = actor.name + "." + actor.acts[act].name;
    if (port.edge >= plan_.edges.size()) return broken(where, "a port without an edge");
    const Edge& edge = plan_.edges[port.edge];
    const bool ours = input ? edge.consumer == actor.id && edge.consumer_act == act
                            : edge.producer == actor.id && edge.producer_act == act;
    bool& taken = input ? seen_[port.edge].consumed : seen_[port.edge].produced;
    if (!ours || taken) return broken(where, "a port at an edge of another act");
    taken = true;
    if (port.group != actor.acts[act].firings / edge.tokens)
      return broken(where, "a group that is not its rate");
    contents.push_back(edge.content);
    return {};
  }

  /// One token in, the same token out, with the wire on one side.
  Status check_carrier(const Actor& actor, const Act& act) const {
    const Edge& in = plan_.edges[act.inputs[0].edge];
    const Edge& out = plan_.edges[act.outputs[0].edge];
    const bool sends = actor.kind == ActorKind::kSend;
    if (in.content != out.content || in.bytes != out.bytes || in.dtype != out.dtype ||
        in.tokens != out.tokens || in.tokens != act.firings || in.wire == sends ||
        out.wire != sends) {
      return broken(actor.name, "does not carry one edge over a wire");
    }
    return {};
  }

  /// Every pair that needs one has a route that can be walked, in the order of pairs_of().
  Status routes() const {
    const auto pairs = pairs_of(plan_);
    if (pairs.size() != plan_.routes.size())
      return broken("routes", "not one for each two nodes that share a wire edge");
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Route& route = plan_.routes[i];
      const std::pair<NodeIndex, NodeIndex> ends = std::minmax(route.dialler, route.acceptor);
      if (ends != pairs[i])
        return broken("routes", "not one for each two nodes that share a wire edge");
      const Node &dialler = plan_.nodes[route.dialler], &acceptor = plan_.nodes[route.acceptor];
      const bool third = route.relay && *route.relay < plan_.nodes.size() &&
                         *route.relay != route.dialler && *route.relay != route.acceptor &&
                         can_dial(dialler, plan_.nodes[*route.relay]) &&
                         can_dial(acceptor, plan_.nodes[*route.relay]);
      if (route.relay ? !third : !can_dial(dialler, acceptor))
        return broken(dialler.name + " to " + acceptor.name, "a route that nobody can dial");
    }
    return {};
  }

  Status memory() const {
    const auto needed = memory_of(plan_);
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (needed[i] <= plan_.nodes[i].memory) continue;
      return broken(plan_.nodes[i].name, "needs " + std::to_string(needed[i]) +
                                             " bytes but may use " +
                                             std::to_string(plan_.nodes[i].memory));
    }
    return {};
  }

  const Plan& plan_;
  const Sharing sharing_;
  std::vector<Ends> seen_;
  std::unordered_set<std::string_view> nodes_, edge_names_, actor_names_;
  std::unordered_set<std::uint32_t> rates_;  ///< see is_rate()
};

}  // namespace

Status validate(const Plan& plan) { return Validator(plan).run(); }

}  // namespace reef::plan
