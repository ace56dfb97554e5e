#pragma once
// Links over TCP: `u16be length | frame`, nothing else. Plain: wrap every one in a SecureLink.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/link/link.h"
#include "runtime/link/loop.h"

namespace reef::link::tcp {

using Dialled = std::function<void(Result<std::unique_ptr<Link>>)>;
using Accepted = std::function<void(std::unique_ptr<Link>)>;

/// Connects to host:port, trying each address of the name in turn. `done` runs once on the loop:
/// kTimedOut at `deadline`, kPeerLost when nobody answers, kPath when the name does not resolve.
void dial(Loop& loop, std::string host, std::uint16_t port, Deadline deadline, Dialled done);

/// Accepts connections on one address.
/// Thread: made and destroyed on any; `accepted` runs on the loop. Failure: an accept that fails
/// for want of descriptors waits 100 ms and goes on; existing links do not notice.
class Listener {
 public:
  /// Port 0 takes a free one, see port(). An empty host is every address. kAddressInUse names the
  /// address and what to try.
  static Result<std::unique_ptr<Listener>> listen(Loop& loop, const std::string& host,
                                                  std::uint16_t port, Accepted accepted);
  /// Accepts no more; links already handed out live on.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  struct State;
  Listener(std::shared_ptr<State> state, std::uint16_t port);
  std::shared_ptr<State> state_;
  std::uint16_t port_;
};

/// A link over a connected stream socket, which it owns from now on.
std::unique_ptr<Link> adopt(Loop& loop, int fd, std::string peer_name);

}  // namespace reef::link::tcp
