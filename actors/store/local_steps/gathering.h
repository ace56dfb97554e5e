#pragma once
// Whose progress goes into the next outer update: that of all datacenters that train, or after a
// while of those that came, so that a slow or lost one does not stop the rest.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "runtime/base/clock.h"

namespace reef::actors {

struct GatheringRules {
  std::size_t quorum = 1;  ///< without so many datacenters there is no update
  Duration grace{};        ///< for the others, once the quorum is there
};

/// Of one fragment. A datacenter that comes too late is counted in the next update; one that comes
/// again before that has all it brought counted at once.
/// Thread: one at a time. Order: pure; all time is the caller's.
class Gathering {
 public:
  explicit Gathering(GatheringRules rules) : rules_(rules) {}

  /// Trains from now on; nothing for one that does.
  void join(std::uint32_t island) {
    members_.insert(island);
    retired_.erase(island);
  }
  /// Is waited for no longer; what it has brought stays.
  void leave(std::uint32_t island) { members_.erase(island); }
  /// The same, and for good: nothing will come of it, so no quorum can need it.
  void retire(std::uint32_t island) {
    leave(island);
    retired_.insert(island);
  }

  bool has(std::uint32_t island) const { return members_.contains(island); }

  /// Has brought some of its progress.
  void bring(std::uint32_t island, Time now);

  /// When the update is due, as things are: at once (a time past) if all have come; none without a
  /// quorum.
  std::optional<Time> due() const;

  /// The update is made: how often each has brought something.
  std::map<std::uint32_t, std::size_t> close();

 private:
  bool complete() const;
  std::size_t quorum() const;

  GatheringRules rules_;
  std::set<std::uint32_t> members_, retired_;
  std::map<std::uint32_t, std::size_t> brought_;
  std::optional<Time> quorum_since_;
};

}  // namespace reef::actors
