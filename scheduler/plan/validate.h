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

/// Bytes that a node needs: slots of its edges and state of its actors. A wire edge counts on both
/// ends.
struct NodeMemory {
  std::uint64_t device = 0;  ///< where it computes; on the processor all there is
  /// Beside a plug-in's device: what its io stream holds. An edge between the streams is in both,
  /// since its tensors are copied from one to the other.
  std::uint64_t host = 0;
};
/// Saturates instead of overflowing. Precondition: indices in range.
std::vector<NodeMemory> memory_by_device(const Plan& plan);
/// Of each node where it computes: what Node::memory limits.
std::vector<std::uint64_t> memory_of(const Plan& plan);

}  // namespace reef::plan
