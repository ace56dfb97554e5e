#include "scheduler/plan/layout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>

#include "ops/codec/edge.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/stages.h"

namespace reef::plan {
namespace {

using ops::DType;

constexpr std::int32_t kWeightsPriority = -1;  ///< fills gaps: only the optimizer waits for it
constexpr std::uint64_t kReportBytes = 4096;   ///< a loss, a norm, a few counters

/// What one owner has of it.
struct Share {
  std::uint64_t weights = 0;
  std::uint64_t gradients = 0;
  std::uint64_t squares = 0;                             ///< a sum per piece
  std::uint64_t state() const { return 3 * gradients; }  ///< masters and two moments
};

/// The acts of one shard and of what serves it.
struct Shard {
  ActorId actor = 0;
  ActRef forward, backward;
  ActRef gradients;          ///< backward, or its second half
  std::vector<ActRef> sync;  ///< offer, combine 0, combine 1, ...
  ActRef measure, update;
  std::vector<ActRef> gather;  ///< of a sharded plan: offer, combine 0, combine 1, ...
};

struct Replica {
  ActRef load, loss, norm, record;
  std::vector<Shard> shards;
};

class Layout {
 public:
  Layout(const job::Job& job, const topology::Topology& topology, placement::Spread spread)
      : job_(job),
        topology_(topology),
        builder_(job, topology),
        spec_(job::spec_of(job)),
        shards_{job.parallelism.dp, job.parallelism.pp},
        schedule_(job.parallelism.schedule),
        stages_(job.parallelism.stages()),
        nodes_(static_cast<std::uint32_t>(topology.nodes.size())),
        spread_(spread),
        micro_(job.training.leaves / job.parallelism.dp),
        last_(stages_ - 1),
        sharded_(job.parallelism.shares_state()),
        exchanges_(static_cast<std::uint32_t>(std::bit_width(shards_.replicas) - 1)) {
    Stages stages = cut_stages(job_, topology_, spec_, spread_);
    cuts_ = std::move(stages.cuts);
    sizes_ = std::move(stages.sizes);
    deal_pieces();
  }

  Plan build() {
    add_actors();
    for (std::uint32_t r = 0; r < shards_.replicas; ++r) {
      connect_forward(r);
      connect_backward(r);
    }
    for (std::uint32_t s = 0; s < stages_; ++s) connect_sync(s);
    for (std::uint32_t r = 0; r < shards_.replicas; ++r) connect_squares(r);
    for (std::uint32_t r = 0; r < shards_.replicas; ++r) {
      connect_optimizer(r);
      if (!sharded_) connect_weights(r);
    }
    if (sharded_) connect_sharded_weights();
    connect_state();
    return finish();
  }

 private:
  void deal_pieces() {
    std::vector<LayerRange> ranges;
    for (std::uint32_t s = 0; s < stages_; ++s) ranges.push_back({cuts_[s], cuts_[s + 1]});
    deal_.emplace(spec_, ranges, sharded_ ? shards_.replicas : 1);
    for (std::uint32_t s = 0; s < stages_; ++s) {
      auto& shares = shares_.emplace_back(deal_->owners());
      auto& slices = gradients_.emplace_back();
      for (std::uint32_t i = cuts_[s]; i < cuts_[s + 1]; ++i) {
        for (const nn::Parameter& parameter : spec_.layers[i].parameters) {
          for (const Slice& slice : deal_->of(parameter.name)) {
            slices.push_back(slice);
            Share& share = shares[slice.owner];
            const auto count = static_cast<std::uint64_t>(slice.count);
            share.weights += count * ops::size_of(parameter.dtype);
            share.gradients += 4 * count;
            share.squares += 64 * static_cast<std::uint64_t>(pieces_in(slice));
          }
        }
        for (const std::string& tied : spec_.layers[i].tied) {
          const auto some = deal_->of(tied);
          slices.insert(slices.end(), some.begin(), some.end());
          if (s == last_) tied_.insert(tied_.end(), some.begin(), some.end());
        }
      }
    }
  }

  const Share& share(std::uint32_t replica, std::uint32_t s) const {
    return shares_[s][deal_->owner(replica)];
  }
  /// Of these slices, what a replica holds after so many exchanges.
  static std::uint64_t bytes_of(const std::vector<Slice>& slices, std::uint32_t replica,
                                std::uint32_t exchanges) {
    std::uint64_t bytes = 0;
    for (const Slice& slice : slices) {
      if (holds(replica, slice, exchanges)) bytes += 4 * static_cast<std::uint64_t>(slice.count);
    }
    return bytes;
  }
  /// What a replica keeps at exchange k of the sync, and its partner sends it.
  std::uint64_t exchanged(std::uint32_t replica, std::uint32_t s, std::uint32_t k) const {
    return sharded_ ? bytes_of(gradients_[s], replica, k + 1) : sizes_[s].all_gradients();
  }
  /// The owners that a norm hears of.
  std::vector<std::uint32_t> owners_heard(std::uint32_t replica) const {
    std::vector<std::uint32_t> owners{replica};
    if (!sharded_) return owners;
    owners.resize(shards_.replicas);
    std::iota(owners.begin(), owners.end(), 0u);
    return owners;
  }

  /// Stages are dealt out in turn, so that each device of a pipeline has as many.
  NodeIndex node(std::uint32_t r, std::uint32_t s) const {
    return placement::node_of(spread_, shards_, nodes_, r, s % shards_.stages);
  }
  bool in_halves() const { return schedule_.kind == job::Schedule::Kind::kZeroBubble; }
  /// Forward of an earlier stage of a device goes first: all other devices wait for it.
  std::int32_t forward_priority(std::uint32_t s) const {
    return static_cast<std::int32_t>(schedule_.stages_per_device - 1 - s / shards_.stages);
  }
  /// Backward goes before forward: it frees a stash before the next forward fills one.
  std::int32_t backward_priority() const {
    return static_cast<std::int32_t>(schedule_.stages_per_device);
  }
  std::int32_t loss_priority() const { return backward_priority() + 1; }

  /// Micro-batches that are on the lines behind stage s, there and back, while all devices work.
  std::uint32_t under_way(std::uint32_t replica, std::uint32_t s) const {
    double way = 0, period = 0;
    for (std::uint32_t k = 0; k < stages_; ++k) {
      const topology::Node& here = topology_.nodes[node(replica, k)];
      period =
          std::max(period, sizes_[k].flops / cost::flops_per_second(here.device, here.threads));
      if (k < s || k == last_ || node(replica, k) == node(replica, k + 1)) continue;
      const topology::Line line = topology::line_between(
          topology_, here.datacenter, topology_.nodes[node(replica, k + 1)].datacenter);
      way += seconds(line.round_trip) +
             2 * cost::transfer_seconds(line, static_cast<double>(hidden_bytes()));
    }
    return static_cast<std::uint32_t>(std::ceil(std::min(way / period, 1e6)));
  }
  /// 1F1B by credit (arXiv 1806.03377): stage s of S lets S - s micro-batches in before the first
  /// must come back, and those that are under way.
  std::uint32_t stash_slots(std::uint32_t replica, std::uint32_t s) const {
    return std::min(micro_, stages_ - s + under_way(replica, s));
  }
  /// In halves stage s may leave the gradients of weights of s + 1 for later, so that all stages
  /// hold activations of about as many micro-batches (arXiv 2401.10241, ZB-H1).
  std::uint32_t rest_slots(std::uint32_t replica, std::uint32_t s) const {
    return std::min(micro_, s + 1 + under_way(replica, 0));
  }
  /// The head's use of a tied parameter needs edges of its own where another stage owns it.
  bool ties_across() const { return last_ > 0 && sizes_[last_].tied_weights > 0; }
  /// Of one micro-batch.
  std::uint64_t hidden_bytes() const {
    return ops::size_of(spec_.activations) * tokens_per_leaf(job_) *
           static_cast<std::uint64_t>(nn::width_of(job_.model));
  }
  std::uint64_t logits_bytes() const {
    return 4 * tokens_per_leaf(job_) * static_cast<std::uint64_t>(nn::vocabulary_of(job_.model));
  }

  static std::string r(std::uint32_t replica) { return ".r" + std::to_string(replica); }
  static std::string rs(std::uint32_t replica, std::uint32_t stage) {
    return r(replica) + ".s" + std::to_string(stage);
  }

  ActorId add(ActorKind kind, const std::string& name, std::uint32_t replica, std::uint32_t stage,
              std::uint64_t state_bytes = 0) {
    Actor actor;
    actor.kind = kind;
    actor.name = name;
    actor.node = node(replica, stage);
    actor.replica = replica;
    actor.stage = stage;
    const bool holds_layers = kind == ActorKind::kLayerShard || kind == ActorKind::kGradientSync ||
                              kind == ActorKind::kOptimizer || kind == ActorKind::kAllGather;
    actor.first_layer = holds_layers ? cuts_[stage] : 0;
    actor.last_layer = holds_layers ? cuts_[stage + 1] : 0;
    actor.state_bytes = state_bytes;
    return builder_.add(std::move(actor));
  }

  void add_actors() {
    for (std::uint32_t replica = 0; replica < shards_.replicas; ++replica) add_replica(replica);
    const ActorId metrics = add(ActorKind::kMetrics, "metrics", 0, last_);
    for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
      replicas_[i].record = builder_.add_act(metrics, "record " + std::to_string(i), micro_);
    }
    metrics_norm_ = builder_.add_act(metrics, "norm");
    for (std::uint32_t r = 0; r < deal_->owners(); ++r) {
      for (std::uint32_t s = 0; s < stages_; ++s) {
        const std::string name = (sharded_ ? "store/r" + std::to_string(r) : "store") + "/s";
        const ActorId store = add(ActorKind::kParameterStore, name + std::to_string(s), r, s);
        publish_.push_back(builder_.add_act(store, "publish"));
      }
    }
    write_ = builder_.add_act(add(ActorKind::kCheckpointer, "checkpointer", 0, last_), "write");
  }

  void add_replica(std::uint32_t index) {
    const std::string suffix = "/r" + std::to_string(index);
    Replica replica;
    replica.load =
        builder_.add_act(add(ActorKind::kDataLoader, "loader" + suffix, index, 0), "load", micro_);
    for (std::uint32_t s = 0; s < stages_; ++s) replica.shards.push_back(add_shard(index, s));
    replica.loss = builder_.add_act(replica.shards[last_].actor, "loss", micro_, loss_priority());
    replica.norm =
        builder_.add_act(add(ActorKind::kClipNorm, "norm" + suffix, index, last_), "norm");
    replicas_.push_back(std::move(replica));
  }

  Shard add_shard(std::uint32_t replica, std::uint32_t s) {
    const std::string suffix = "/r" + std::to_string(replica) + "/s" + std::to_string(s);
    // Leaves are summed as a balanced tree: at most one partial sum for each level waits for its
    // sibling.
    const std::uint64_t partial_sums = static_cast<std::uint64_t>(std::bit_width(micro_));
    Shard shard;
    shard.actor = add(ActorKind::kLayerShard, "layers" + suffix, replica, s,
                      partial_sums * sizes_[s].all_gradients() + sizes_[s].recomputed);
    shard.forward = builder_.add_act(shard.actor, "forward", micro_, forward_priority(s));
    shard.backward = shard.gradients = builder_.add_act(
        shard.actor, in_halves() ? "backward input" : "backward", micro_, backward_priority());
    if (in_halves()) {
      shard.gradients = builder_.add_act(shard.actor, "backward weights", micro_, kWeightsPriority);
    }
    // A codec with feedback works on a copy as long as what it remembers.
    const ActorId sync =
        add(ActorKind::kGradientSync, "sync" + suffix, replica, s, 2 * remembered(replica, s).held);
    shard.sync.push_back(builder_.add_act(sync, "offer"));
    for (std::uint32_t k = 0; (1u << k) < shards_.replicas; ++k) {
      shard.sync.push_back(builder_.add_act(sync, "combine " + std::to_string(k)));
    }
    const ActorId optimizer =
        add(ActorKind::kOptimizer, "optimizer" + suffix, replica, s, share(replica, s).state());
    shard.measure = builder_.add_act(optimizer, "measure");
    shard.update = builder_.add_act(optimizer, "update");
    if (!sharded_) return shard;
    const ActorId gather = add(ActorKind::kAllGather, "gather" + suffix, replica, s);
    shard.gather.push_back(builder_.add_act(gather, "offer"));
    for (std::uint32_t j = 0; j < exchanges_; ++j)
      shard.gather.push_back(builder_.add_act(gather, "combine " + std::to_string(j)));
    return shard;
  }

  void connect_forward(std::uint32_t index) {
    const Replica& replica = replicas_[index];
    const std::uint64_t token_bytes = 4 * tokens_per_leaf(job_);
    builder_.connect({"tokens" + r(index), replica.load, replica.shards[0].forward,
                      Content::kTokens, micro_, job_.data.prefetch, 0, token_bytes, DType::kI32});
    for (std::uint32_t s = 0; s < last_; ++s) {
      builder_.connect({"hidden" + rs(index, s), replica.shards[s].forward,
                        replica.shards[s + 1].forward, Content::kActivation, micro_, 2, 0,
                        hidden_bytes(), spec_.activations});
    }
    builder_.connect({"logits" + r(index), replica.shards[last_].forward, replica.loss,
                      Content::kActivation, micro_, 1, 0, logits_bytes()});
    // Targets wait while their tokens do, and then while those pass through the pipeline.
    builder_.connect({"targets" + r(index), replica.load, replica.loss, Content::kTokens, micro_,
                      stash_slots(index, 0) - 1 + job_.data.prefetch, 0, token_bytes, DType::kI32});
  }

  void connect_backward(std::uint32_t index) {
    const Replica& replica = replicas_[index];
    builder_.connect({"logits-gradient" + r(index), replica.loss, replica.shards[last_].backward,
                      Content::kActivationGradient, micro_, 1, 0, logits_bytes()});
    for (std::uint32_t s = stages_; s-- > 0;) {
      const Shard& shard = replica.shards[s];
      if (in_halves()) {
        builder_.connect({"rest" + rs(index, s), shard.backward, shard.gradients,
                          Content::kActivation, micro_, rest_slots(index, s), 0, sizes_[s].later,
                          spec_.activations});
      }
      builder_.connect({"gradients" + rs(index, s), shard.gradients, shard.sync[0],
                        Content::kGradient, 1, 1, 0, sizes_[s].all_gradients()});
      if (s == 0) break;
      builder_.connect({"hidden-gradient" + rs(index, s), shard.backward,
                        replica.shards[s - 1].backward, Content::kActivationGradient, micro_, 2, 0,
                        hidden_bytes(), spec_.activations});
    }
    for (std::uint32_t s = 0; s < stages_; ++s) {
      const Shard& shard = replica.shards[s];
      builder_.connect({"stash" + rs(index, s), shard.forward, shard.backward, Content::kActivation,
                        micro_, stash_slots(index, s), 0, sizes_[s].stash, spec_.activations});
    }
    builder_.connect({"report" + r(index), replica.loss, replica.record, Content::kScalars, micro_,
                      2, 0, kReportBytes, DType::kF64});
  }

  /// Recursive doubling, nearest first: after combine k a replica holds the sum of 2^(k+1)
  /// neighbours, which is the balanced tree over the leaves that rule 7 asks for. In a sharded plan
  /// recursive halving along the same tree: each gives away what its partner's half owns.
  void connect_sync(std::uint32_t s) {
    for (std::uint32_t k = 0; (1u << k) < shards_.replicas; ++k) {
      const std::string suffix = "." + std::to_string(k);
      for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
        const auto& sync = replicas_[i].shards[s].sync;
        builder_.connect({"kept" + rs(i, s) + suffix, sync[k], sync[k + 1], Content::kGradient, 1,
                          1, 0, exchanged(i, s, k), DType::kF32, rounding(s, k)});
      }
      for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
        const std::uint32_t other = i ^ (1u << k);
        const ActRef partner = replicas_[other].shards[s].sync[k + 1];
        builder_.connect({"sent" + rs(i, s) + suffix,
                          replicas_[i].shards[s].sync[k],
                          partner,
                          Content::kGradient,
                          1,
                          1,
                          0,
                          exchanged(other, s, k),
                          DType::kF32,
                          {},
                          sizes_[s].parts});
      }
    }
    for (std::uint32_t i = 0; i < shards_.replicas; ++i) connect_reduced(i, s);
  }

  /// The codec through which all replicas pass their sums at combine k: one that rounds, where any
  /// pair of partners is on two nodes. Otherwise a replica would add its own exact sum to its
  /// partner's rounded one, and the replicas would drift apart. A sum with one owner cannot.
  std::string rounding(std::uint32_t s, std::uint32_t k) const {
    if (sharded_) return {};
    const std::string codec = builder_.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
      if (node(i, s) != node(i ^ (1u << k), s)) return codec;
    }
    return {};
  }

  /// The same for the gradient of a tied use: it rounds on the way to its owner in all replicas or
  /// in none.
  std::string tied_rounding() const {
    if (sharded_) return {};
    const std::string codec = builder_.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
      if (node(i, 0) != node(i, last_)) return codec;
    }
    return {};
  }

  void connect_reduced(std::uint32_t index, std::uint32_t s) {
    const Shard& shard = replicas_[index].shards[s];
    const bool splits = s == last_ && ties_across();
    const std::uint32_t exchanges = sharded_ ? exchanges_ : 0;
    const std::uint64_t tied = bytes_of(tied_, index, exchanges);
    builder_.connect({"reduced" + rs(index, s), shard.sync.back(), shard.measure,
                      Content::kGradient, 1, 1, 0,
                      bytes_of(gradients_[s], index, exchanges) - (splits ? tied : 0)});
    if (!splits) return;
    builder_.connect({"tied-reduced" + r(index), shard.sync.back(),
                      replicas_[index].shards[0].measure, Content::kGradient, 1, 1, 0, tied,
                      DType::kF32, tied_rounding(), sizes_[s].tied_parts});
  }

  /// Bytes that a gradient sync holds from one round to the next, and of those what it saves: the
  /// first of the replicas that have summed alike does, since they remember alike.
  struct Remembered {
    std::uint64_t held = 0;
    std::uint64_t saved = 0;
  };
  Remembered remembered(std::uint32_t replica, std::uint32_t s) const {
    const auto codec = codec::parse_edge(builder_.codec_of(Content::kGradient));
    Remembered sum;
    if (!codec.ok() || !codec::has_feedback(*codec)) return sum;
    const auto add = [&](std::uint64_t residual, const auto& parts, bool saves) {
      const std::uint64_t bytes = residual + 4 * codec::warm_elements(*codec, parts);
      sum.held += bytes;
      if (saves) sum.saved += bytes;
    };
    for (std::uint32_t k = 0; (1u << k) < shards_.replicas; ++k) {
      if (rounding(s, k).empty()) continue;
      add(sizes_[s].all_gradients(), sizes_[s].parts, replica >> k << k == replica);
    }
    if (s == last_ && ties_across() && !tied_rounding().empty())
      add(sizes_[s].tied_gradients, sizes_[s].tied_parts, replica == 0);
    return sum;
  }

  /// To a replica's norm, which adds them as all others do.
  void connect_squares(std::uint32_t index) {
    for (std::uint32_t s = 0; s < stages_; ++s) {
      for (const std::uint32_t owner : owners_heard(index)) {
        builder_.connect({"squares" + rs(owner, s) + (sharded_ ? ".to" + r(index) : ""),
                          replicas_[owner].shards[s].measure, replicas_[index].norm,
                          Content::kScalars, 1, 1, 0, share(owner, s).squares, DType::kF64});
      }
    }
  }

  void connect_optimizer(std::uint32_t index) {
    const Replica& replica = replicas_[index];
    for (std::uint32_t s = 0; s < stages_; ++s) {
      const Shard& shard = replica.shards[s];
      builder_.connect({"held" + rs(index, s), shard.measure, shard.update, Content::kGradient, 1,
                        1, 0, share(index, s).gradients});
    }
    for (std::uint32_t s = 0; s < stages_; ++s) {
      builder_.connect({"scale" + rs(index, s), replica.norm, replica.shards[s].update,
                        Content::kScalars, 1, 1, 0, kReportBytes, DType::kF64});
    }
    if (index == 0) {
      builder_.connect({"norm", replica.norm, metrics_norm_, Content::kScalars, 1, 2, 0,
                        kReportBytes, DType::kF64});
    }
  }

  void connect_weights(std::uint32_t index) {
    const Replica& replica = replicas_[index];
    const auto from = [&](std::uint32_t s) {
      return sharded_ ? replica.shards[s].gather.back() : replica.shards[s].update;
    };
    const std::uint32_t initial = sharded_ ? 0 : 1;  // the gather begins with slices
    for (std::uint32_t s = 0; s < stages_; ++s) {
      builder_.connect({"weights" + rs(index, s), from(s), replica.shards[s].forward,
                        Content::kWeights, 1, 1, initial, sizes_[s].weights, spec_.activations});
    }
    if (!ties_across()) return;
    builder_.connect({"tied-weights" + r(index), from(0), replica.shards[last_].forward,
                      Content::kWeights, 1, 1, initial, sizes_[last_].tied_weights,
                      spec_.activations});
  }

  void connect_sharded_weights() {
    for (std::uint32_t r = 0; r < shards_.replicas; ++r) connect_slices(r);
    for (std::uint32_t s = 0; s < stages_; ++s) connect_gather(s);
    for (std::uint32_t r = 0; r < shards_.replicas; ++r) connect_weights(r);
  }

  void connect_slices(std::uint32_t index) {
    for (std::uint32_t s = 0; s < stages_; ++s) {
      const Shard& shard = replicas_[index].shards[s];
      builder_.connect({"slices" + rs(index, s), shard.update, shard.gather[0], Content::kWeights,
                        1, 1, 1, share(index, s).weights, spec_.activations});
    }
  }

  /// Recursive doubling of the updated weights: the exchanges of the sync, backwards.
  void connect_gather(std::uint32_t s) {
    for (std::uint32_t j = 0; j < exchanges_; ++j) {
      const std::uint32_t k = exchanges_ - 1 - j;
      const std::string suffix = "." + std::to_string(j);
      for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
        const auto& gather = replicas_[i].shards[s].gather;
        builder_.connect({"gathered" + rs(i, s) + suffix, gather[j], gather[j + 1],
                          Content::kWeights, 1, 1, 0, gathered(i, s, k), spec_.activations,
                          j == 0 ? weights_rounding(s) : ""});
      }
      for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
        builder_.connect({"shared" + rs(i, s) + suffix, replicas_[i].shards[s].gather[j],
                          replicas_[i ^ (1u << k)].shards[s].gather[j + 1], Content::kWeights, 1, 1,
                          0, gathered(i, s, k), spec_.activations});
      }
    }
  }

  /// Weights that a replica has before it meets the partner in bit k.
  std::uint64_t gathered(std::uint32_t replica, std::uint32_t s, std::uint32_t k) const {
    std::uint64_t bytes = 0;
    for (std::uint32_t owner = 0; owner < shards_.replicas; ++owner) {
      if (holds(replica, {{}, 0, 0, owner}, k + 1)) bytes += shares_[s][owner].weights;
    }
    return bytes;
  }

  /// The codec through which every owner passes its weights: one that rounds, where any pair of
  /// partners is on two nodes. All replicas then compute with the same weights.
  std::string weights_rounding(std::uint32_t s) const {
    const std::string codec = builder_.codec_of(Content::kWeights);
    if (!cost::codec_is_lossy(codec, spec_.activations)) return {};
    for (std::uint32_t i = 1; i < shards_.replicas; ++i) {
      if (node(i, s) != node(0, s)) return codec;
    }
    return {};
  }

  void connect_state() {
    for (std::uint32_t owner = 0; owner < deal_->owners(); ++owner) {
      for (std::uint32_t s = 0; s < stages_; ++s) {
        const std::string suffix = sharded_ ? rs(owner, s) : ".s" + std::to_string(s);
        const ActRef publish = publish_[owner * stages_ + s];
        const std::uint64_t bytes = share(owner, s).state();
        builder_.connect({"snapshot" + suffix, replicas_[owner].shards[s].update, publish,
                          Content::kState, 1, 1, 0, bytes});
        builder_.connect({"part" + suffix, publish, write_, Content::kState, 1, 1, 0, bytes});
      }
    }
    for (std::uint32_t i = 0; i < shards_.replicas; ++i) {
      for (std::uint32_t s = 0; s < stages_; ++s) {
        const std::uint64_t bytes = remembered(i, s).saved;
        if (bytes == 0) continue;
        builder_.connect({"residuals" + rs(i, s), replicas_[i].shards[s].sync.back(), write_,
                          Content::kState, 1, 1, 0, bytes});
      }
    }
  }

  Plan finish() {
    Plan& plan = builder_.plan();
    plan.job = job_.name;
    plan.descriptor = job::job_to_json(job_);
    plan.replicas = shards_.replicas;
    plan.stages = stages_;
    plan.leaves = job_.training.leaves;
    return std::move(plan);
  }

  const job::Job& job_;
  const topology::Topology& topology_;
  Builder builder_;
  const nn::ModelSpec spec_;
  const placement::Shards shards_;
  const job::Schedule schedule_;
  const std::uint32_t stages_;
  const std::uint32_t nodes_;
  const placement::Spread spread_;
  const std::uint32_t micro_;      ///< micro-batches a round and replica
  const std::uint32_t last_;       ///< stage
  const bool sharded_;             ///< replicas share the optimizer's state out
  const std::uint32_t exchanges_;  ///< in which replicas meet
  std::vector<std::uint32_t> cuts_;
  std::vector<StageSize> sizes_;
  std::optional<Deal> deal_;
  std::vector<std::vector<Share>> shares_;     ///< by stage, then owner
  std::vector<std::vector<Slice>> gradients_;  ///< by stage, with those of tied uses
  std::vector<Slice> tied_;                    ///< those of tied uses of the last stage
  std::vector<Replica> replicas_;
  std::vector<ActRef> publish_;
  ActRef write_, metrics_norm_;
};

}  // namespace

std::uint64_t tokens_per_leaf(const job::Job& job) {
  return std::uint64_t{job.training.sequences_per_leaf} * job.training.context;
}

Plan lay_out(const job::Job& job, const topology::Topology& topology, placement::Spread spread) {
  return Layout(job, topology, spread).build();
}

}  // namespace reef::plan
