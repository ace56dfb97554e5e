#pragma once
// Processes of one machine that add up through memory they share.

#include <memory>
#include <string>

#include "collectives/local/group.h"

namespace reef::collectives {

struct SharedMemoryOptions {
  std::string path;  ///< the same for all members, new for each group: "/dev/shm/atoll-..."
  Rank rank = 0;
  Rank world = 1;
  /// Of one message between two members; several are under way, so that nobody waits for the
  /// slowest each time.
  std::size_t chunk_bytes = 128 << 10;
};

/// Rank 0 makes the file, and takes its name away once all have come, so that nothing is left of a
/// group whatever becomes of it. The members are processes of one user, who trust each other.
/// Failure: kTimedOut names who did not come by `deadline`; kPath when the file cannot be made, is
/// there already, or is not one that a group's rank 0 makes.
Result<std::unique_ptr<LocalGroup>> join_shared_memory(const SharedMemoryOptions& options,
                                                       Deadline deadline);

}  // namespace reef::collectives
