#pragma once
// From a job and a topology to a plan. Pure: no file, no clock, no random number.

#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// Cuts, places and joins; both spreads of shards are tried and the one that sends fewer bytes
/// between datacenters (then between nodes) is kept. The plan is validated, live, fits its nodes'
/// memory and has a predicted step time. kNoFit: idle nodes or too little memory, with the
/// arithmetic of the layout that came closest, or two nodes that cannot come together (route.h).
/// kJobGraph: not live.
Result<Plan> make_plan(const job::Job& job, const topology::Topology& topology);

}  // namespace reef::plan
