#pragma once
// The part of validation (validate.h) that asks each actor for the acts and ports of its kind
// (shape.h), and each edge for one port at either end. Pure.

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Order: behind check_header() and check_edges(). After it every index into lists of the plan is
/// in range but those of routes. Failure: kProto names the actor, the act, or the edge that lacks a
/// port.
Status check_actors(const Plan& plan);

}  // namespace reef::plan
