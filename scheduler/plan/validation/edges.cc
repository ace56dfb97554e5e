#include "scheduler/plan/validation/edges.h"

#include <numeric>
#include <string_view>
#include <unordered_set>

#include "ops/codec/edge.h"
#include "scheduler/plan/validation/refusal.h"

namespace reef::plan {
namespace {

constexpr std::uint32_t kMostSlots = 1 << 16;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 48;

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

class EdgeCheck {
 public:
  explicit EdgeCheck(const Plan& plan) : plan_(plan) {}

  Status run() {
    for (std::size_t i = 0; i < plan_.edges.size(); ++i) ATOLL_TRY(check(plan_.edges[i], i));
    return {};
  }

 private:
  Status check(const Edge& edge, std::size_t index) {
    if (!good_name(edge.name) || !names_.insert(edge.name).second) {
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

  const Plan& plan_;
  std::unordered_set<std::string_view> names_;
};

}  // namespace

Status check_edges(const Plan& plan) { return EdgeCheck(plan).run(); }

}  // namespace reef::plan
