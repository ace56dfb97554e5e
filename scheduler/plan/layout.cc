#include "scheduler/plan/layout.h"

#include <algorithm>
#include <bit>

#include "scheduler/plan/layout/frame.h"
#include "scheduler/plan/layout/pipeline.h"
#include "scheduler/plan/layout/ring.h"
#include "scheduler/plan/layout/sync.h"
#include "scheduler/plan/layout/weights.h"

namespace reef::plan {
namespace {

constexpr std::int32_t kWeightsPriority = -1;  ///< fills gaps: only the optimizer waits for it
constexpr std::int32_t kGatherPriority = 0;    ///< no layer has anything to do without it

class Actors {
 public:
  explicit Actors(Frame& frame) : f_(frame) {
    for (std::uint32_t s = 0; s < f_.stages && !by_layer_; ++s)
      most_segments_ = std::max(most_segments_, f_.segments(s));
  }

  void add_actors() {
    for (std::uint32_t replica = 0; replica < f_.shards.replicas; ++replica) add_replica(replica);
    // An island's losses are also its outer store's business, which is on the first stage's node.
    const ActorId metrics =
        f_.add(ActorKind::kMetrics, "metrics", {0, f_.job.island ? 0 : f_.last});
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      f_.replicas[i].record =
          f_.builder.add_act(metrics, "record " + std::to_string(i), f_.micro(i));
    }
    f_.metrics_norm = f_.builder.add_act(metrics, "norm");
    for (std::uint32_t r = 0; r < f_.owners(); ++r) {
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) add_store({r, s, t});
      }
    }
    f_.write =
        f_.builder.add_act(f_.add(ActorKind::kCheckpointer, "checkpointer", {0, f_.last}), "write");
    if (f_.job.island) {
      f_.meet = f_.builder.add_act(
          f_.add(ActorKind::kOuterStore, "outer store", {0, 0}, outer_state()), "meet");
    }
  }

 private:
  /// Forward of an earlier stage of a device goes first: all other devices wait for it. Of a stage
  /// in buckets later segments do: one micro-batch leaves before the next one enters.
  std::int32_t forward_priority(std::uint32_t s, std::uint32_t segment) const {
    const std::uint32_t behind = f_.schedule.stages_per_device - 1 - s / f_.shards.stages;
    return static_cast<std::int32_t>(behind * most_segments_ + (by_layer_ ? 0 : segment));
  }
  /// Backward goes before forward: it frees a stash before the next forward fills one.
  std::int32_t backward_priority() const {
    return static_cast<std::int32_t>(f_.schedule.stages_per_device * most_segments_);
  }
  std::int32_t loss_priority() const { return backward_priority() + 1; }
  /// What a line or a partner waits for takes little time and goes before layers.
  std::int32_t exchange_priority() const { return loss_priority(); }

  void add_replica(std::uint32_t index) {
    const std::string suffix = f_.of_replica(index, '/');
    Replica replica;
    // Where sequences are shared a loader reads whole ones, and takes its part.
    const std::uint64_t whole = f_.shards.context > 1 ? 8 * tokens_per_leaf(f_.job) : 0;
    replica.load =
        f_.builder.add_act(f_.add(ActorKind::kDataLoader, "loader" + suffix, {index, 0}, whole),
                           "load", f_.micro(index));
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      auto& of_stage = replica.shards.emplace_back();
      for (std::uint32_t t = 0; t < f_.shards.ranks; ++t)
        of_stage.push_back(add_shard({index, s, t}));
    }
    for (Shard& shard : replica.shards[f_.last]) {
      if (f_.shards.ranks > 1)
        shard.statistics =
            f_.builder.add_act(shard.actor, "statistics", f_.micro(index), loss_priority());
      shard.loss = f_.builder.add_act(shard.actor, "loss", f_.micro(index), loss_priority());
    }
    if (f_.job.distillation) {
      replica.ask = f_.builder.add_act(
          f_.add(ActorKind::kPupil, "pupil" + suffix, {index, f_.last}, lessons_state(index)),
          "ask", f_.micro(index));
    }
    // Backward ends at the first stage: where the others' sums are by then, they cost no time.
    replica.norm =
        f_.builder.add_act(f_.add(ActorKind::kClipNorm, "norm" + suffix, {index, 0}), "norm");
    f_.replicas.push_back(std::move(replica));
  }

  /// Leaves are summed as a balanced tree: at most one partial sum for each level waits for its
  /// sibling. By the layer shard, or where replicas meet after each micro-batch by the sync, which
  /// has its own slices only; then the shard's leaf is in the slot that it will leave by.
  std::uint64_t partial_sums(std::uint32_t replica) const {
    return static_cast<std::uint64_t>(std::bit_width(f_.micro(replica)));
  }
  /// Of several segments of a bucket it is with the shard until the last of them is done, with
  /// those that have begun behind it.
  std::uint64_t shard_state(Place place) const {
    const StageSize& size = f_.size(place);
    const bool syncs_once = f_.sync_firings(place.stage) == 1;
    std::uint64_t sums = syncs_once ? partial_sums(place.replica) : 0;
    if (!syncs_once && f_.segments(place.stage) > f_.syncs(place.stage))
      sums = stash_slots(f_, place);
    // What lies between buckets that take turns, there and back.
    const std::uint64_t between = f_.in_turn ? 2 * f_.hidden_bytes() : 0;
    return sums * size.all_gradients() + size.recomputed + ring_bytes(f_, place) + between;
  }

  std::uint64_t sync_state(Place place, std::uint32_t sync) const {
    // A codec with feedback works on a copy as long as what it remembers.
    if (f_.sync_firings(place.stage) == 1) return 2 * remembered(f_, place, sync).held;
    std::uint64_t own = 0;
    for (const Bucket& bucket : f_.synced(place, sync))
      own += bytes_of(bucket.gradients, place.replica, f_.exchanges);
    return partial_sums(place.replica) * own;
  }

  /// What is asked and answered of the micro-batches that are under way.
  std::uint64_t lessons_state(std::uint32_t replica) const {
    const job::Distillation& distillation = *f_.job.distillation;
    const std::uint64_t position =
        said_bytes(distillation.top_k, distillation.values, nn::vocabulary_of(f_.job.model)) +
        std::uint64_t{8} * distillation.top_k + 16;
    return distillation.teachers.size() * position * f_.tokens * f_.micro(replica);
  }

  void add_store(Place place) {
    const std::string name =
        "store" + (f_.sharded ? f_.of_shard(place, '/')
                              : "/s" + std::to_string(place.stage) +
                                    (f_.shards.ranks > 1 ? "/t" + std::to_string(place.rank) : ""));
    f_.publish.push_back(
        f_.builder.add_act(f_.add(ActorKind::kParameterStore, name, place), "publish"));
  }

  /// What is told, pending and corrected of all weights, and their outer momentum; of the
  /// fragments whose home this is also what islands bring, as numbers and as they encoded it, the
  /// global weights, their momentum and the log. That is all of them once the others are lost and
  /// their homes have moved here; as long as they are there, each brings something, but homes are
  /// shared. And of one fragment what each island has told, when an update is read.
  std::uint64_t outer_state() const {
    std::uint64_t weights = 0;
    for (std::uint32_t owner = 0; owner < f_.owners(); ++owner) {
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        for (std::uint32_t t = 0; t < f_.shards.ranks; ++t)
          weights += f_.share({owner, s, t}).gradients;
      }
    }
    return weights * (8 + 7) + weights * f_.job.island->count() / f_.job.local_steps->fragments;
  }

  Shard add_shard(Place place) {
    const std::string suffix = f_.of_shard(place, '/');
    Shard shard;
    shard.actor = f_.add(ActorKind::kLayerShard, "layers" + suffix, place, shard_state(place));
    add_passes(place, shard);
    for (std::uint32_t i = 0; i < f_.syncs(place.stage); ++i)
      shard.sync.push_back(add_sync(place, i));
    const ActorId optimizer =
        f_.add(ActorKind::kOptimizer, "optimizer" + suffix, place, f_.share(place).state());
    if (f_.shards.ranks > 1) shard.take = f_.builder.add_act(optimizer, "take");
    shard.measure = f_.builder.add_act(optimizer, "measure");
    if (f_.shards.ranks == 1) shard.take = shard.measure;
    shard.update = f_.builder.add_act(optimizer, "update");
    if (!f_.sharded) return shard;
    if (!f_.in_turn) {
      const ActorId gather = f_.add(ActorKind::kAllGather, "gather" + suffix, place);
      shard.gather.push_back(add_exchanges(gather, 1, kGatherPriority));
      return shard;
    }
    for (const char* direction : {"/forward", "/backward"}) {
      const ActorId gather = f_.add(ActorKind::kAllGather, "gather" + suffix + direction, place);
      shard.gather.push_back(
          add_exchanges(gather, f_.sync_firings(place.stage), exchange_priority()));
    }
    return shard;
  }

  std::vector<ActRef> add_sync(Place place, std::uint32_t sync) {
    const LayerRange layers =
        f_.in_turn ? f_.layers_of(place.stage) : f_.buckets_of(place.stage).layers(sync);
    const ActorId actor = f_.add(ActorKind::kGradientSync, "sync" + f_.of_sync(place, sync, '/'),
                                 place, layers, sync_state(place, sync));
    const std::uint32_t firings = f_.sync_firings(place.stage);
    std::vector<ActRef> acts = add_exchanges(actor, firings, exchange_priority());
    const SyncSteps steps = f_.steps_of_sync(place.stage, place.rank);
    for (std::uint32_t k = 0; k < steps.near; ++k)
      acts.push_back(
          f_.builder.add_act(actor, "join " + std::to_string(k), firings, exchange_priority()));
    return acts;
  }

  /// offer, combine 0, combine 1, ...
  std::vector<ActRef> add_exchanges(ActorId actor, std::uint32_t firings, std::int32_t priority) {
    std::vector<ActRef> acts{f_.builder.add_act(actor, "offer", firings, priority)};
    for (std::uint32_t k = 0; k < f_.exchanges; ++k) {
      acts.push_back(f_.builder.add_act(actor, "combine " + std::to_string(k), firings, priority));
    }
    return acts;
  }

  /// The acts through which micro-batches pass.
  void add_passes(Place place, Shard& shard) {
    const Segments segments = f_.segments_of(place.stage);
    const auto named = [&](const std::string& name, std::uint32_t segment) {
      return segments.by_layer() || segments.count() > 1 ? name + " " + std::to_string(segment)
                                                         : name;
    };
    for (std::uint32_t i = 0; i < segments.count(); ++i) {
      shard.forward.push_back(f_.builder.add_act(
          shard.actor, named("forward", i), f_.micro(place.replica) * segments.forward_firings(i),
          forward_priority(place.stage, i)));
    }
    const std::string backward = f_.in_halves() ? "backward input" : "backward";
    for (std::uint32_t i = 0; i < segments.count(); ++i) {
      shard.backward.push_back(f_.builder.add_act(
          shard.actor, named(backward, i), f_.micro(place.replica) * segments.backward_firings(i),
          backward_priority()));
    }
    for (std::uint32_t i = 0; i < f_.syncs(place.stage); ++i) {
      const std::string weights =
          "backward weights" + (f_.syncs(place.stage) > 1 ? " " + std::to_string(i) : "");
      shard.gradients.push_back(
          f_.in_halves()
              ? f_.builder.add_act(shard.actor, weights, f_.micro(place.replica), kWeightsPriority)
              : shard.backward[segments.first_of(i)]);
    }
  }

  Frame& f_;
  const bool by_layer_ = f_.segments_of(0).by_layer();
  std::uint32_t most_segments_ = 1;  ///< of a stage, where they are buckets
};

Plan finish(Frame& frame) {
  Plan& plan = frame.builder.plan();
  plan.job = frame.job.name;
  plan.descriptor = job::job_to_json(frame.job);
  plan.replicas = frame.shards.replicas;
  plan.stages = frame.stages;
  plan.ranks = frame.shards.ranks;
  plan.context = frame.shards.context;
  plan.leaves = frame.job.training.leaves;
  plan.buckets = frame.bucket_cuts;
  plan.shares_weights = frame.in_turn;
  if (frame.job.parallelism.is_uneven()) plan.micro_batches = frame.job.parallelism.micro_batches;
  return std::move(plan);
}

}  // namespace

std::uint64_t tokens_per_leaf(const job::Job& job) {
  return std::uint64_t{job.training.sequences_per_leaf} * job.training.context;
}

std::uint64_t tokens_per_shard(const job::Job& job) {
  return tokens_per_leaf(job) / job.parallelism.cp;
}

Plan lay_out(const job::Job& job, const topology::Topology& topology, placement::Spread spread) {
  Frame frame(job, topology, spread);
  Actors(frame).add_actors();
  for (std::uint32_t r = 0; r < frame.shards.replicas; ++r) {
    connect_forward(frame, r);
    connect_backward(frame, r);
  }
  for (std::uint32_t s = 0; s < frame.stages; ++s) connect_sync(frame, s);
  connect_squares(frame);
  connect_weights(frame);
  connect_state(frame);
  connect_rings(frame);
  return finish(frame);
}

}  // namespace reef::plan
