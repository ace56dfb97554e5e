#pragma once
// Is this a plan at all? Asked of every plan before anything indexes into it, also of one that a
// peer sent.

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Every index in range; each edge is one output of its producer and one input of its consumer;
/// rates divide; acts and ports of each kind as ActorKind documents; only wire edges cross nodes;
/// names unique; memory within every node. Never crashes, whatever the plan holds. kProto names
/// what is wrong.
Status validate(const Plan& plan);

}  // namespace reef::plan
