#pragma once
// The part of validation (validate.h) that asks what stands by itself: the counts of a plan, with
// the limits that bound all work on it, and the nodes that it runs on. Pure.

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Counts that can be, and that agree. Order: first of all, whatever the plan holds; after it,
/// micro_batches_of() may be asked of each replica. Failure: kProto names what is wrong.
Status check_header(const Plan& plan);

/// Of each node by itself, and that no two share a name. Order: whatever the nodes hold. Failure:
/// kProto names the node.
Status check_nodes(const Plan& plan);

}  // namespace reef::plan
