#pragma once
// One end of a pair that a third node joins: a plain Link over a leg, so that whatever runs over a
// line runs over a relay. Wrap it in a SecureLink: the relay is a line that is not trusted.

#include <functional>
#include <memory>
#include <string>

#include "runtime/link/record_link.h"
#include "runtime/link/relay/wire.h"

namespace reef::link::relay {

/// For messages to people.
struct Names {
  std::string far;    ///< of the other end
  std::string relay;  ///< of the node between
};

using Joined = std::function<void(Result<std::unique_ptr<Link>>)>;

/// Asks the relay at the other end of `leg`, which nobody has started, to be joined. `done` runs
/// once on the leg's executor, when both ends have come: kTimedOut at `deadline` or when the relay
/// has waited long enough; kRefused: the relay does not join these two; kPeerLost: it is gone.
///   The link is as link.h says, a frame being a record of the leg. When the other end is gone, or
/// the relay itself, it fails with an Error that names which. Sending stops at kWindow bytes that
/// the other end has not taken; the leg is always read, so that an end is noticed at once.
void join(std::unique_ptr<RecordLink> leg, const Join& join, Names names, Deadline deadline,
          Joined done);

}  // namespace reef::link::relay
