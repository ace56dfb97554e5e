#pragma once
// Where a model is cut and where its shards stand. Pure and deterministic: the same input gives the
// same placement on every machine.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::placement {

/// Cuts layers into contiguous ranges, one for each of `speeds` in order, so that the slowest range
/// is as fast as can be (dynamic programming); among equals the earliest cuts. Returns a boundary
/// more than there are stages: stage s is [b[s], b[s + 1]). Precondition: 1 <= speeds.size() <=
/// costs.size(), speeds > 0.
std::vector<std::uint32_t> cut(const std::vector<double>& costs, const std::vector<double>& speeds);

/// What is spread over the nodes first, hence what crosses the slow lines. Nodes stand in topology
/// order, which is datacenter by datacenter, so neighbours in the order of shards share a
/// datacenter.
enum class Spread {
  kReplicas,  ///< a replica's stages stay together: gradients cross
  kStages,    ///< a stage's replicas stay together: activations cross
};

struct Shards {
  std::uint32_t replicas = 1;
  std::uint32_t stages = 1;   ///< devices of a pipeline
  std::uint32_t ranks = 1;    ///< that share each stage
  std::uint32_t context = 1;  ///< neighbouring replicas that share sequences

  std::uint64_t total() const { return std::uint64_t{replicas} * stages * ranks; }
};

/// The node of a shard: shards in Spread's order, the ranks of a stage and the replicas of a
/// context as neighbours, are dealt to the nodes in even, contiguous blocks, whose sizes differ by
/// at most one. Precondition: shards_fit().
std::uint32_t node_of(Spread spread, Shards shards, std::uint32_t nodes, std::uint32_t replica,
                      std::uint32_t stage, std::uint32_t rank = 0);

/// How fast each of `stages` stages is, which are dealt to the devices of a pipeline in turn: as
/// its slowest shard, as often as ranks share it, where the shards of a node share its speed.
/// `work`, by group of replicas that share sequences: what each has to do beside the mean of all;
/// empty: as much. Precondition: shards_fit(), and `stages` is a multiple of shards.stages.
std::vector<double> stage_speeds(Spread spread, Shards shards, const std::vector<double>& nodes,
                                 std::uint32_t stages, const std::vector<double>& work = {});

/// How fast each group of replicas that share sequences is, likewise: as its slowest shard.
/// Precondition: shards_fit().
std::vector<double> group_speeds(Spread spread, Shards shards, const std::vector<double>& nodes);

/// How many of the leaves each takes, at least one, so that the slowest is done as early as can be;
/// among equals the first takes more. Precondition: 1 <= speeds.size() <= leaves, speeds > 0.
std::vector<std::uint32_t> deal(std::uint32_t leaves, const std::vector<double>& speeds);

/// kNoFit when a node would stand idle: names the idle nodes and the fix.
Status shards_fit(Shards shards, const std::vector<std::string>& nodes);

}  // namespace reef::placement
