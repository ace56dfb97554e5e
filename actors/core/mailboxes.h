#pragma once
// How full the mailboxes of a crew's hosts get. Credit bounds them: a message says that a slot of
// an edge was written or given back, and an edge has only so many.

#include <cstddef>
#include <mutex>
#include <string>

#include "scheduler/plan/plan.h"

namespace reef::actors {

/// Messages that can wait for a host at a time: one for each slot of each edge that begins or ends
/// elsewhere, the end of its firing, and what its crew says (begin, hold, release).
std::size_t mailbox_bound(const plan::Plan& plan, const plan::Actor& actor);

/// Thread: any.
class Mailboxes {
 public:
  struct Fullest {
    std::string actor;  ///< empty: no message has waited
    std::size_t waiting = 0;
    std::size_t bound = 0;
  };

  void note(const std::string& actor, std::size_t waiting, std::size_t bound);
  /// Nearest to its bound.
  Fullest fullest() const;

 private:
  mutable std::mutex mutex_;
  Fullest fullest_;
};

}  // namespace reef::actors
