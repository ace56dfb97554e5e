#pragma once
// The plan: which actors run where, joined by which edges, each with its rate, slots and bytes.
// Pure data: copyable, comparable, without behaviour. It is made by make_plan(), proved by
// prove_live(), sent to the nodes as Cap'n Proto (configs/schema/plan.capnp) and turned into CAF
// actors by the actor factory.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/tensor/dtype.h"
#include "runtime/base/firing.h"
#include "runtime/base/reach.h"
#include "scheduler/topology/device.h"

namespace reef::plan {

using ActorId = std::uint32_t;  ///< index into Plan::actors
using EdgeId = std::uint32_t;   ///< index into Plan::edges
using NodeIndex = std::uint32_t;

/// The order of acts and ports of each kind is fixed and stands in the comment; actors rely on it.
/// [xN] marks a port that exists N times; ports in brackets exist only where the plan needs them.
enum class ActorKind : std::uint8_t {
  kDataLoader,    ///< act load:     -> tokens [x ranks], targets [x ranks]
  kLayerShard,    ///< acts forward i, backward i of each segment (segments.h), in the order of
                  ///< layers; the first forward alone has weights, the first backward of each
                  ///< bucket (buckets.h) alone gradients; a ring alone keys and sums, which go to
                  ///< the next replica:
                  ///< act forward:  input, weights, [tied weights], [keys] -> output, stash, [keys]
                  ///< act backward: grad output, stash, [keys, sums] -> gradients, [grad input],
                  ///<               [keys, sums]
                  ///< (the head's gradients include its use of a tied parameter, "wte.weight@head")
                  ///< or, in halves, act backward input: grad output, stash, .. -> rest, ..
                  ///<            and acts backward weights b of each bucket: rest [x segments of
                  ///<            it] -> gradients
                  ///< or, with weights gathered for each bucket, of which one act of all:
                  ///< act forward:  input, turn, weights -> output, stash
                  ///< act backward: grad output, stash, weights -> gradients, [grad input], turn
                  ///< of the last stage also act loss: logits, targets -> grad logits, report
                  ///< or, of ranks, act statistics: logits, targets -> judged, statistics
                  ///<           and act loss: judged, statistics -> grad logits, [report]
  kGradientSync,  ///< of a bucket. act offer: gradients -> kept, sent
                  ///< act combine k: kept, received -> kept, sent
                  ///< act join k, where sums cross in strips (sync_steps.h): the same, exact
                  ///< last act (offer of a single replica): ... -> reduced, [tied reduced],
                  ///< [residuals], of exchanges whose codec has feedback
                  ///< Partner at k: replica xor 2^k. What is kept and sent first passes through the
                  ///< kept edge's codec, if it has one; tied reduced likewise through its own
                  ///< edge's. Tied reduced: from the head's stage to the owner's optimizer.
                  ///< In a sharded plan (pieces.h) what is kept and sent are halves; all its
                  ///< syncs may do so after each micro-batch, where others do once a round.
  kClipNorm,      ///< act norm:     squares [x stages, of each: x ranks] -> scale [likewise],
                  ///<               [report of replica 0]
                  ///< sharded: squares [x stages, of each: x ranks, of each: x replicas]
  kOptimizer,     ///< act measure:  reduced [x buckets], [tied gradients] -> squares, held
                  ///< or, of ranks, act take: reduced [x buckets], [tied gradients] -> split,
                  ///<               [copied]
                  ///<           and act measure: split, [sums of copied] -> squares, held
                  ///< act update:   held, scale, [correction] -> weights, [tied weights],
                  ///<               [snapshot], [progress]
                  ///< sharded: squares [x replicas' norms]; slices in place of both weights, or
                  ///< with weights gathered for each bucket slices, slices, [tied slices, tied
                  ///< slices]: forward and backward; then reduced is one of all buckets
  kParameterStore,  ///< act publish:  snapshot -> part
  kCheckpointer,    ///< act write:    part [x stages, of each: x ranks], [residuals, by replica,
                    ///< then stage and bucket] -> (nothing)
  kMetrics,  ///< act record k: report of replica k's loss -> (nothing); last act: norm of replica 0
  kSend,     ///< act send:     value -> wire
  kReceive,  ///< act receive:  wire -> value
  kAllGather,   ///< of sharded plans. act offer:     slices -> kept, sent
                ///< act combine j: kept, received -> kept, sent
                ///< last act: -> weights, [tied weights]
                ///< Or one forward and one backward, whose acts fire once a micro-batch and bucket:
                ///< slices, [tied slices] for all of a round; last act: -> weights
                ///< Partner at j: replica xor 2^(exchanges - 1 - j). What is offered first passes
                ///< through the kept edge's codec, if it has one. Of two dtypes, one travels as the
                ///< bytes of the other.
  kAllReduce,   ///< of plans with ranks, adds what the ranks of a stage made. act offer: value ->
                ///< kept, sent; act combine k: kept, received -> kept, sent; last act: -> sum,
                ///< or only the rank's strip of it (strips.h), if a kJoin takes that
                ///< Partner at k: rank xor 2^k. What is kept and sent first passes through the kept
                ///< edge's codec, if it has one.
  kJoin,        ///< of plans with ranks, where a sum crosses between datacenters: the same acts and
                ///< partners, with strips: what is kept grows from the rank's strip to the sum
  kOuterStore,  ///< of an island's plan (scheduler/job/local_steps.h). act meet: progress [x
                ///< owners, of each: x stages, of each: x ranks] -> correction [x replicas, of
                ///< each: likewise], which the next round's updates take
  kPupil,       ///< of a student's plan. act ask: asked -> targets. What a loader gives of targets
                ///< passes here, with its tokens, and teachers are asked about them meanwhile
  kTeacher,     ///< of a TeacherService, whose plan is this. act serve: (nothing) -> (nothing)
};

/// What an edge carries: decides its codec, lane and deadline.
enum class Content : std::uint8_t {
  kTokens,
  kActivation,
  kActivationGradient,
  kGradient,
  kWeights,
  kScalars,
  kState,
  kExact,  ///< what no codec may round: statistics of the loss, strips among ranks
};

/// One thing an actor does, at a fixed rate.
struct Act {
  std::string name;
  std::uint32_t firings = 1;  ///< per round
  std::int32_t priority = 0;  ///< higher runs first when several acts of one device may fire
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  bool operator==(const Act&) const;
};

struct Actor {
  ActorId id = 0;
  ActorKind kind = ActorKind::kDataLoader;
  std::string name;  ///< unique: "layers/r0/s1", "send/hidden.r0.s0"
  NodeIndex node = 0;
  std::uint32_t replica = 0;
  std::uint32_t stage = 0;
  std::uint32_t rank = 0;  ///< tensor-parallel
  /// Layer shards, gradient sync, optimizers and all-gathers: [first, last) of ModelSpec::layers.
  std::uint32_t first_layer = 0;
  std::uint32_t last_layer = 0;
  std::vector<Act> acts;
  std::uint64_t state_bytes = 0;  ///< masters, moments, accumulators held beside the edges
  bool operator==(const Actor&) const = default;
};

/// A bounded register between two acts: `slots` buffers of `bytes`, with credit.
struct Edge {
  EdgeId id = 0;
  std::string name;  ///< "hidden.r0.s0", unique
  ActorId producer = 0;
  std::uint32_t producer_act = 0;
  ActorId consumer = 0;
  std::uint32_t consumer_act = 0;
  Content content = Content::kActivation;
  std::uint32_t tokens = 1;  ///< per round
  std::uint32_t slots = 2;
  /// Tokens present before the first round: the first weights, and what a ring begins with.
  std::uint32_t initial = 0;
  std::uint64_t bytes = 0;  ///< capacity of one slot, as raw tensors
  /// Of the tensors, as a wire edge must carry them. A weights edge within a node may hold f32
  /// vectors beside bf16 matrices; scalars are f64.
  ops::DType dtype = ops::DType::kF32;
  bool wire = false;  ///< between a kSend and a kReceive on two nodes: sealed, encoded with `codec`
  /// "none", "bf16+zstd", "top-k:0.01", ... Set on wire edges, and on kept and tied reduced edges
  /// of GradientSync, kept edges of AllReduce and the first kept edge of AllGather where some
  /// replica or rank sends through a rounding codec: all then have the same rounded numbers and
  /// stay equal.
  std::string codec;
  double ratio = 1;  ///< of a wire edge: expected encoded size over raw size
  bool operator==(const Edge&) const = default;
};

struct Node {
  std::string name;  ///< "east-0"
  std::string datacenter;
  std::uint64_t memory = 0;           ///< bytes that the job may use where the device computes
  std::uint32_t threads = 1;          ///< compute threads of its device
  std::string address = "127.0.0.1";  ///< host of the node, from the topology
  Reach dialable = Reach::kAnywhere;
  std::string ucx = {};  ///< what it offers to its datacenter; see over_ucx(), route.h
  topology::Device device = {};
  bool operator==(const Node&) const = default;
};

/// How two nodes that share wire edges come together; made by route(), route.h.
struct Route {
  NodeIndex dialler = 0;  ///< begins the handshake between the two, on either kind of route
  NodeIndex acceptor = 0;
  std::optional<NodeIndex> relay;  ///< the third node, which both dial; none: a direct route
  bool operator==(const Route&) const = default;
};

struct Plan;
/// Who gets an edge's tokens, past a sender and a receiver. Precondition: validate(plan) is ok.
const Actor& taker_of(const Plan& plan, const Edge& edge);

struct Plan {
  std::string job;  ///< metadata.name
  std::uint64_t epoch = 1;
  std::string descriptor;  ///< the validated job descriptor, as JSON
  std::vector<Node> nodes;
  std::vector<Actor> actors;
  std::vector<Edge> edges;
  std::vector<Route> routes;  ///< one a pair of nodes that shares a wire edge
  std::uint32_t replicas = 1;
  std::uint32_t stages = 1;  ///< ranges of layers; a device may hold several of one replica
  std::uint32_t ranks = 1;   ///< tensor-parallel; above 1 a shard has a segment a layer
  /// Neighbouring replicas that share the sequences of their leaves, each with the tokens of its
  /// nn::ContextShare; above 1 a shard has a segment a layer.
  std::uint32_t context = 1;
  std::uint32_t leaves = 8;  ///< V of rule 7
  /// Of a round, by group of replicas that share sequences, where these take unequally many; else
  /// empty, and each takes its equal part of the leaves.
  std::vector<std::uint32_t> micro_batches;
  /// The layers, ascending, where inside of a stage another bucket of gradients begins (buckets.h).
  std::vector<std::uint32_t> buckets;
  /// Of a sharded plan: a shard's buckets compute in turn (segments.h), with weights that are
  /// gathered for each, forward and backward.
  bool shares_weights = false;
  /// False when a lossy codec, sums over ranks, unequal micro-batches, devices of several kinds or
  /// teachers break rule 7.
  bool reproducible = true;
  double predicted_step_seconds = 0;
  std::string layout;  ///< for people: what crosses the slow lines, and what the other layout would
                       ///< have cost
  bool operator==(const Plan&) const = default;
};

/// Of a round, in a replica that the plan has. Precondition: the counts of the plan's header are
/// valid.
std::uint32_t micro_batches_of(const Plan& plan, std::uint32_t replica);

}  // namespace reef::plan
