#pragma once
// What a plan takes from the memory of its nodes. Planning asks what fits, validation refuses what
// does not, people are told: all agree through this. Pure.

#include <cstdint>
#include <vector>

#include "scheduler/plan/plan.h"

namespace reef::plan {

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
