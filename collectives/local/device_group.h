#pragma once
// Devices of one node that add up over what joins them, by means of their plug-in: GPUs by NCCL.

#include <memory>

#include "collectives/local/group.h"
#include "ops/plugin/plugin.h"
#include "runtime/base/bytes.h"

namespace reef::collectives {

/// What the members of a new group must share. One makes it and gives it to the others, by any way
/// that only they can read: whoever has it can join. kNoFit when the plug-in has no groups.
Result<Bytes> make_group_id(const ops::Backend& backend);

struct DeviceGroupOptions {
  ops::Backend backend;
  ops::Context& context;  ///< of one of its devices, another for each member; outlives the group
  BytesView id;
  Rank rank = 0;
  Rank world = 1;
};

/// Buffers lie on the context's device. Sums follow whatever order the plug-in finds fastest, so
/// the group is not reproducible.
/// Thread: the context's. Failure: kNoFit without groups, kUsage for an id of another size; while
/// joining and later as ops/plugin/group.h says: a member that dies may be seen no sooner than at
/// the deadline, and without its rank.
Result<std::unique_ptr<LocalGroup>> join_device_group(const DeviceGroupOptions& options,
                                                      Deadline deadline);

}  // namespace reef::collectives
