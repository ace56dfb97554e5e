#pragma once
// Where a job's layers are cut into stages, and what each stage holds and moves. Pure.

#include <cstdint>
#include <vector>

#include "ops/codec/power_sgd.h"
#include "ops/nn/spec.h"
#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// In bytes. Weights are as layers see them, all else is f32.
struct StageSize {
  std::uint64_t weights = 0;              ///< of the parameters that it owns
  std::uint64_t tied_weights = 0;         ///< of those that it uses and another layer owns
  std::uint64_t gradients = 0;            ///< of the parameters that it owns
  std::uint64_t tied_gradients = 0;       ///< of tied uses
  std::uint64_t stash = 0;                ///< of one micro-batch
  std::uint64_t later = 0;                ///< the same, between the halves of backward
  std::uint64_t recomputed = 0;           ///< the same, while backward computes a layer again
  double flops = 0;                       ///< the same, forward and backward
  std::vector<codec::Matrix> parts;       ///< what the gradients are for a codec of low rank,
  std::vector<codec::Matrix> tied_parts;  ///< those of tied uses among them

  std::uint64_t all_gradients() const { return gradients + tied_gradients; }
};

/// Of these layers of a spec, whole or of a rank.
StageSize size_of(const nn::ModelSpec& spec, LayerRange layers, std::uint64_t tokens);

placement::Shards shards_of(const job::Parallelism& parallelism);

/// Stage s is layers [cuts[s], cuts[s + 1]): where the job says, else so that the slowest device is
/// as fast as can be. `spec` is the job's model. Preconditions: a checked job,
/// placement::shards_fit().
std::vector<std::uint32_t> cut_stages(const job::Job& job, const topology::Topology& topology,
                                      const nn::ModelSpec& spec, placement::Spread spread);

}  // namespace reef::plan
