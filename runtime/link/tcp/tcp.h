#pragma once
// Links over TCP: `u16be length | frame`, nothing else. Plain: wrap every one in a SecureLink.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/link/link.h"
#include "runtime/link/loop.h"
#include "runtime/link/tcp/gate.h"

namespace reef::link::tcp {

/// How a socket treats its line. Zero or empty leaves a thing to the system.
struct SocketOptions {
  std::string congestion;          ///< "bbr", "cubic": what the system offers, see check()
  std::size_t send_buffer = 0;     ///< bytes; fixing it ends the system's own tuning
  std::size_t receive_buffer = 0;  ///< bytes
  std::uint64_t pace = 0;          ///< at most so many bytes a second leave
};

/// kUsage, naming what there is, when this machine does not offer `options.congestion`.
Status check(const SocketOptions& options);

using Dialled = std::function<void(Result<std::unique_ptr<Link>>)>;
using Accepted = std::function<void(std::unique_ptr<Link>)>;

/// Connects to host:port, trying each address of the name in turn. `done` runs once on the loop:
/// kTimedOut at `deadline`, kPeerLost when nobody answers, kPath when the name does not resolve;
/// kUsage as check().
void dial(Loop& loop, std::string host, std::uint16_t port, Deadline deadline, Dialled done,
          const SocketOptions& options = {});

/// Accepts connections on one address.
/// Thread: made and destroyed on any; `accepted` runs on the loop. Failure: an accept that fails
/// for want of descriptors waits 100 ms and goes on; existing links do not notice. A connection
/// beyond the limits of gate.h is closed in silence.
class Listener {
 public:
  /// Port 0 takes a free one, see port(). Accepted sockets have `options`. An empty host is every
  /// address. kAddressInUse names the address and what to try.
  static Result<std::unique_ptr<Listener>> listen(Loop& loop, const std::string& host,
                                                  std::uint16_t port, Accepted accepted,
                                                  const SocketOptions& options = {});
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

/// A link over a connected stream socket, which it owns from now on; its options are set already.
/// `pass` is released once the frame limit is raised to kMaxFrame, which says that the peer has
/// proven itself, or with the link.
std::unique_ptr<Link> adopt(Loop& loop, int fd, std::string peer_name, Gate::Pass pass = nullptr);

}  // namespace reef::link::tcp
