#pragma once
// What the parts of a layout share while they write down the plan of one spread: counts, sizes, who
// holds what, and the acts that edges join.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/segments.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/sync_steps.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

inline constexpr std::uint64_t kReportBytes = 4096;  ///< a loss, a norm, a few counters

/// What one owner has of a stage, in bytes.
struct Share {
  std::uint64_t weights = 0;
  std::uint64_t gradients = 0;
  std::uint64_t copied = 0;                              ///< of these, what all ranks have
  std::uint64_t squares = 0;                             ///< a sum per piece
  std::uint64_t state() const { return 3 * gradients; }  ///< masters and two moments
};

/// What travels together.
struct Bucket {
  StageSize size;
  std::vector<Slice> gradients;        ///< with those of tied uses
  std::vector<std::uint64_t> weights;  ///< bytes of each owner's, with those of tied uses
};

/// What a tensor-parallel rank has of the model; the same in every replica.
struct RankPart {
  RankPart(const nn::ModelSpec& its_spec, const std::vector<Buckets>& stages, std::uint64_t tokens,
           std::uint32_t owners);

  nn::ModelSpec spec;
  Deal deal;
  std::vector<StageSize> sizes;              ///< by stage
  std::vector<std::vector<Share>> shares;    ///< by stage, then owner
  std::vector<std::vector<Bucket>> buckets;  ///< by stage
  std::vector<Slice> tied;                   ///< gradients of tied uses of the last stage

 private:
  void add_bucket(LayerRange layers, std::uint64_t tokens);
};

/// The acts of one shard and of what serves it.
struct Shard {
  ActorId actor = 0;
  std::vector<ActRef> forward, backward;  ///< by segment
  std::vector<ActRef> gradients;          ///< by sync, its last backward or the second half
  ActRef statistics, loss;                ///< of the last stage; statistics where ranks share it
  std::vector<std::vector<ActRef>> sync;  ///< of each: offer, combine 0, ..., join 0, ...
  ActRef take, measure, update;           ///< take: the act that gets what was summed
  /// Of a sharded plan: offer, combine 0, combine 1, ..; of one that shares weights out of each
  /// direction.
  std::vector<std::vector<ActRef>> gather;
};

struct Replica {
  ActRef load, norm, record;
  ActRef ask;                              ///< of a student
  std::vector<std::vector<Shard>> shards;  ///< by stage, then rank
};

struct Place {
  std::uint32_t replica = 0;
  std::uint32_t stage = 0;
  std::uint32_t rank = 0;
};

struct Frame {
  /// `job` and `topology` outlive the frame.
  Frame(const job::Job& job, const topology::Topology& topology, placement::Spread spread);

  NodeIndex node(Place place) const;
  Shard& shard(Place place) { return replicas[place.replica].shards[place.stage][place.rank]; }
  const StageSize& size(Place place) const { return ranks[place.rank].sizes[place.stage]; }
  const std::vector<Bucket>& buckets(Place place) const {
    return ranks[place.rank].buckets[place.stage];
  }
  /// Those that a sync is of, one after the other if several.
  std::span<const Bucket> synced(Place place, std::uint32_t sync) const {
    const std::span<const Bucket> all = buckets(place);
    return in_turn ? all : all.subspan(sync, 1);
  }
  std::uint32_t syncs(std::uint32_t stage) const { return segments_of(stage).syncs(); }
  /// Firings of its syncs, a round.
  std::uint32_t sync_firings(std::uint32_t stage) const {
    return in_turn ? micro(0) * buckets_of(stage).count() : sums_each_micro_batch ? micro(0) : 1;
  }
  const Share& share(Place place) const {
    const RankPart& part = ranks[place.rank];
    return part.shares[place.stage][part.deal.owner(place.replica)];
  }
  /// Replicas of whom one owner of all there are is in each.
  std::uint32_t owners() const { return ranks.front().deal.owners(); }
  /// The owners that a replica's norm hears of.
  std::vector<std::uint32_t> owners_heard(std::uint32_t replica) const;
  /// Micro-batches of a round in this replica.
  std::uint32_t micro(std::uint32_t replica) const {
    return job.parallelism.micro_batches_of(replica, job.training.leaves);
  }
  bool in_halves() const { return schedule.kind == job::Schedule::Kind::kZeroBubble; }
  /// The head's use of a tied parameter needs edges of its own where another stage owns it.
  bool ties_across() const { return last > 0 && ranks[0].sizes[last].tied_weights > 0; }
  LayerRange layers_of(std::uint32_t stage) const { return {cuts[stage], cuts[stage + 1]}; }
  Buckets buckets_of(std::uint32_t stage) const { return Buckets(layers_of(stage), bucket_cuts); }
  Segments segments_of(std::uint32_t stage) const {
    return Segments(layers_of(stage), buckets_of(stage), stage == last, shards.ranks,
                    shards.context, in_turn);
  }
  std::uint32_t segments(std::uint32_t stage) const { return segments_of(stage).count(); }
  StageSize segment_size(Place place, std::uint32_t segment) const;
  /// How the replicas of a stage sum a rank's gradients.
  SyncSteps steps_of_sync(std::uint32_t stage, std::uint32_t rank) const;

  /// Of one micro-batch.
  std::uint64_t token_bytes() const { return 4 * tokens; }
  std::uint64_t hidden_bytes() const;
  std::uint64_t logits_bytes(std::uint32_t rank) const;

  ActorId add(ActorKind kind, const std::string& name, Place place, std::uint64_t state_bytes = 0);
  ActorId add(ActorKind kind, const std::string& name, Place place, LayerRange layers,
              std::uint64_t state_bytes);
  /// Names: ".r0", ".r0.s1" or, where ranks share stages, ".r0.s1.t0"; actors have slashes.
  std::string of_replica(std::uint32_t replica, char separator = '.') const;
  std::string of_rank(std::uint32_t replica, std::uint32_t rank) const;
  std::string of_shard(Place place, char separator = '.') const;
  /// ".r0.s1" or, where a segment is a layer, ".r0.s1.l2", or one of several buckets, ".r0.s1.b2".
  std::string of_segment(Place place, std::uint32_t segment) const;
  std::string of_sync(Place place, std::uint32_t sync, char separator = '.') const;

  const job::Job& job;
  const topology::Topology& topology;
  Builder builder;
  const placement::Shards shards;
  const job::Schedule schedule;
  const std::uint32_t stages;
  const placement::Spread spread;
  const std::uint64_t tokens;        ///< of one micro-batch that are a shard's
  const std::uint32_t last;          ///< stage
  const bool sharded;                ///< replicas share the optimizer's state out
  const bool sums_each_micro_batch;  ///< they share sums of gradients out, too
  const bool in_turn;                ///< they share weights out, too
  const std::uint32_t exchanges;     ///< in which replicas meet
  const ops::DType activations;
  std::vector<std::uint32_t> cuts, bucket_cuts;
  std::vector<RankPart> ranks;
  std::vector<Replica> replicas;
  std::vector<ActRef> publish;  ///< by owner, then stage, then rank
  ActRef write, metrics_norm;
  ActRef meet;  ///< of an island
};

/// The most that any of them has.
template <typename Of>
std::uint64_t largest(std::span<const Bucket> buckets, Of&& of) {
  std::uint64_t most = 0;
  for (const Bucket& bucket : buckets) most = std::max<std::uint64_t>(most, of(bucket));
  return most;
}

/// Of these slices of gradients, what a replica holds after so many exchanges.
std::uint64_t bytes_of(const std::vector<Slice>& slices, std::uint32_t replica,
                       std::uint32_t exchanges);

}  // namespace reef::plan
