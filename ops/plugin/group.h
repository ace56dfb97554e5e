#pragma once
// Devices of one node that add up among themselves, as a plug-in may offer it: NCCL, in the CUDA
// plug-in. Who needs a sum asks collectives/local/device_group.h, which makes of this what shared
// memory is to processes.

#include <cstddef>
#include <memory>
#include <span>

#include "ops/tensor/context.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef::ops {

/// One member's place in a group. All call the same operations in the same order; `values` lie on
/// the member's device, in place. An operation begins after all work launched on the member's
/// context before, and is done when the call returns.
/// Thread: the context's, which waits in the calls. Failure: kTimedOut when a member had not come
/// by the deadline, kPeerLost when one is known to be gone, else kIo; the group is of no use then.
class DeviceGroup {
 public:
  virtual ~DeviceGroup() = default;
  virtual Status all_reduce(std::span<float> values, Deadline deadline) = 0;
  /// Part r is [bounds[r], bounds[r + 1]) of `values`; those of others are left as they were.
  virtual Status reduce_scatter(std::span<float> values, std::span<const std::size_t> bounds,
                                Deadline deadline) = 0;
  virtual Status all_gather(std::span<float> values, std::span<const std::size_t> bounds,
                            Deadline deadline) = 0;
  virtual Status broadcast(std::span<float> values, std::uint32_t root, Deadline deadline) = 0;
};

/// What a plug-in has for groups.
struct Groups {
  std::size_t id_bytes;  ///< of what members must share to find each other
  /// A new group's, which one member makes and gives to the others; whoever has it can join.
  Status (*make_id)(std::span<std::byte> id);
  /// Returns when all `world` members have come. The context outlives the group.
  Result<std::unique_ptr<DeviceGroup>> (*join)(Context& context, std::span<const std::byte> id,
                                               std::uint32_t rank, std::uint32_t world,
                                               Deadline deadline);
};

}  // namespace reef::ops
