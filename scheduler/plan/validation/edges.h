#pragma once
// The part of validation (validate.h) that asks each edge what it carries, how often, and between
// which acts. Pure.

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Order: behind check_header(), and before whatever follows an edge to its ends, which are acts of
/// the plan after it. Whether those acts have the edge at a port, check_actors() asks. Failure:
/// kProto names the edge.
Status check_edges(const Plan& plan);

}  // namespace reef::plan
