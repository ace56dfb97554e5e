#pragma once
// Where a model is cut and where its shards stand. Pure and deterministic: the same input gives the
// same placement on every machine.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::placement {

/// Cuts layers into `stages` contiguous ranges so that the slowest range is as fast as can be
/// (dynamic programming); among equals the earliest cuts. Returns stages + 1 boundaries: stage s is
/// [b[s], b[s + 1]). Precondition: 1 <= stages <= costs.size().
std::vector<std::uint32_t> cut(const std::vector<double>& costs, std::uint32_t stages);

/// What is spread over the nodes first, hence what crosses the slow lines. Nodes stand in topology
/// order, which is datacenter by datacenter, so neighbours in the order of shards share a
/// datacenter.
enum class Spread {
  kReplicas,  ///< a replica's stages stay together: gradients cross
  kStages,    ///< a stage's replicas stay together: activations cross
};

struct Shards {
  std::uint32_t replicas = 1;
  std::uint32_t stages = 1;  ///< devices of a pipeline
};

/// The node of a shard: shards in Spread's order are dealt to the nodes in even, contiguous blocks,
/// whose sizes differ by at most one. Precondition: shards_fit().
std::uint32_t node_of(Spread spread, Shards shards, std::uint32_t nodes, std::uint32_t replica,
                      std::uint32_t stage);

/// kNoFit when a node would stand idle: names the idle nodes and the fix.
Status shards_fit(Shards shards, const std::vector<std::string>& nodes);

}  // namespace reef::placement
