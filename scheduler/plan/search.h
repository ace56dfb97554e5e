#pragma once
// Which layout a job gets. A layout is how the model is spread (dp, pp, schedule, recompute) and
// what crosses the slow lines (placement::Spread). Those that a job allows are laid out, weighed
// and played in virtual time; the fastest that fits its nodes' memory is taken. Pure.

#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/plan/plan.h"
#include "scheduler/plan/simulate.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// A layout that was looked at.
struct Candidate {
  job::Parallelism parallelism;
  placement::Spread spread = placement::Spread::kReplicas;
  Plan plan;              ///< laid out, not yet routed and proved
  Forecast forecast;      ///< of one that fits
  double wide_bytes = 0;  ///< encoded, a step, between datacenters; snapshots are rare and left out
  double node_bytes = 0;  ///< the same, between nodes
  std::uint64_t short_by = 0;  ///< bytes that the fullest node lacks; 0: it fits
  NodeIndex fullest = 0;       ///< that node
};

/// The layouts that a job allows, best first: one that fits before one that does not, then the
/// shorter step, and of steps within a hundredth the one that sends fewer bytes between
/// datacenters, then between nodes. mode manual: both spreads of what is asked. mode auto: every
/// split of the nodes into replicas, pipelines and those who share layers or sequences, with every
/// schedule, with equal micro-batches and where replicas are clearly unequally fast also with as
/// many as suit them, each with as little recomputing as fits; where there are more than are played
/// within seconds, those that promise most by arithmetic. Precondition of manual:
/// placement::shards_fit(). Never empty.
std::vector<Candidate> search(const job::Job& job, const topology::Topology& topology);

/// "dp 2 x pp 4, zero-bubble, micro-batches 5:3, replicas spread over datacenters"; where there is
/// only one way to spread, it is left out, and so are equal micro-batches.
std::string describe(const Candidate& candidate);
/// Why `loser` is behind `winner`, in a clause.
std::string reason(const Candidate& loser, const Candidate& winner);

}  // namespace reef::plan
