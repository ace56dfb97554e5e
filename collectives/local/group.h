#pragma once
// Collectives among the processes or devices of one node, where memory or a bus is faster than any
// message: behind one interface, so that who needs a sum does not know which it is.

#include <span>

#include "collectives/algorithms/schedule.h"
#include "ops/tensor/device.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef::collectives {

/// Every member calls the same operations in the same order with the same lengths; part r of a
/// buffer is part_of() it among all members.
/// Thread: one, which waits in the calls: a stream's, never one that handles messages. Memory: the
///   caller's buffers, in place, on device(); nothing is allocated in a call.
/// Order: sums are added along the leaf tree (leaf_tree.h), the same bits for the same inputs on
///   every group that says so of itself.
/// Failure: kPeerLost names the rank that has died, as soon as that is seen; kTimedOut the rank
///   that had not come by the deadline; either without the rank where only that is known. After
///   the first failure buffers hold anything, and every call fails alike: begin again with a new
///   group.
class LocalGroup {
 public:
  LocalGroup() = default;
  LocalGroup(const LocalGroup&) = delete;
  LocalGroup& operator=(const LocalGroup&) = delete;
  virtual ~LocalGroup() = default;

  virtual Rank rank() const = 0;
  virtual Rank world() const = 0;
  /// Where buffers lie.
  virtual ops::Device device() const { return ops::Device::kCpu; }
  /// Whether sums are those of the leaf tree. A plan that adds up by another group must say that it
  /// is not reproducible.
  virtual bool is_reproducible() const { return true; }

  /// `values` become the sum of everybody's.
  virtual Status all_reduce(std::span<float> values, Deadline deadline) = 0;
  /// The own part becomes the sum of everybody's; the others stay as they are.
  virtual Status reduce_scatter(std::span<float> values, Deadline deadline) = 0;
  /// Each other part becomes that of the member it belongs to.
  virtual Status all_gather(std::span<float> values, Deadline deadline) = 0;
  /// `values` become those of `root`.
  virtual Status broadcast(std::span<float> values, Rank root, Deadline deadline) = 0;
};

}  // namespace reef::collectives
