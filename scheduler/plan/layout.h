#pragma once
// The actors of a training job and the edges between them, for one spread of its shards over the
// nodes.

#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// Tokens of one micro-batch, and those among them that are a shard's.
std::uint64_t tokens_per_leaf(const job::Job& job);
std::uint64_t tokens_per_shard(const job::Job& job);

/// A plan without proof, layout text and prediction. Preconditions: a checked job,
/// placement::shards_fit().
Plan lay_out(const job::Job& job, const topology::Topology& topology, placement::Spread spread);

}  // namespace reef::plan
