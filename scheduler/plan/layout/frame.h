#pragma once
// What the parts of a layout share while they write down the plan of one spread: counts, sizes, who
// holds what, and the acts that edges join.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/stages.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

inline constexpr std::uint64_t kReportBytes = 4096;  ///< a loss, a norm, a few counters

/// What one owner has of a stage, in bytes.
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

struct Frame {
  /// `job` and `topology` outlive the frame.
  Frame(const job::Job& job, const topology::Topology& topology, placement::Spread spread);

  NodeIndex node(std::uint32_t replica, std::uint32_t stage) const;
  const Share& share(std::uint32_t replica, std::uint32_t stage) const {
    return shares[stage][deal->owner(replica)];
  }
  /// The owners that a replica's norm hears of.
  std::vector<std::uint32_t> owners_heard(std::uint32_t replica) const;
  bool in_halves() const { return schedule.kind == job::Schedule::Kind::kZeroBubble; }
  /// The head's use of a tied parameter needs edges of its own where another stage owns it.
  bool ties_across() const { return last > 0 && sizes[last].tied_weights > 0; }

  /// Of one micro-batch.
  std::uint64_t hidden_bytes() const;
  std::uint64_t logits_bytes() const;

  ActorId add(ActorKind kind, const std::string& name, std::uint32_t replica, std::uint32_t stage,
              std::uint64_t state_bytes = 0);

  const job::Job& job;
  const topology::Topology& topology;
  Builder builder;
  const nn::ModelSpec spec;
  const placement::Shards shards;
  const job::Schedule schedule;
  const std::uint32_t stages;
  const placement::Spread spread;
  const std::uint32_t micro;      ///< micro-batches a round and replica
  const std::uint32_t last;       ///< stage
  const bool sharded;             ///< replicas share the optimizer's state out
  const std::uint32_t exchanges;  ///< in which replicas meet
  std::vector<std::uint32_t> cuts;
  std::vector<StageSize> sizes;
  std::optional<Deal> deal;
  std::vector<std::vector<Share>> shares;     ///< by stage, then owner
  std::vector<std::vector<Slice>> gradients;  ///< by stage, with those of tied uses
  std::vector<Slice> tied;                    ///< those of tied uses of the last stage
  std::vector<Replica> replicas;
  std::vector<ActRef> publish;  ///< by owner, then stage
  ActRef write, metrics_norm;

 private:
  void deal_pieces();
};

/// Names of edges: ".r0", ".r0.s1".
std::string of_replica(std::uint32_t replica);
std::string of_shard(std::uint32_t replica, std::uint32_t stage);
/// Of these slices of gradients, what a replica holds after so many exchanges.
std::uint64_t bytes_of(const std::vector<Slice>& slices, std::uint32_t replica,
                       std::uint32_t exchanges);

}  // namespace reef::plan
