#pragma once
// Links inside a datacenter over UCX: shared memory, RDMA or TCP, whatever two machines have in
// common. Plain: wrap every one in a SecureLink.
//
// UCX checks nothing that a peer sends it: a worker address that is not one, or bytes on a port
// that its TCP transport opens, may crash the process. So a UCX link is never how a stranger comes
// in. It begins as a life line, another Link that exists already, over which the two ends tell each
// other the addresses of their workers; in a cluster that is a SecureLink to a member of the same
// datacenter that was let in by its credential. Whoever calls join() answers for that.
//   The life line stays open. UCX learns late or never that a peer has died (over shared memory
// never), but the system closes a dead process's sockets at once, and what ends the life line ends
// the UCX link.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/link/link.h"
#include "runtime/link/loop.h"

namespace reef::link::ucx {

/// What UCX may use on this machine.
struct Ways {
  /// Among processes of one user on one machine. Its segments are open to the user's group too.
  bool shared_memory = true;
  /// Network devices by UCX's names, several with commas: "mlx5_0:1", "eth0". On an Ethernet device
  /// UCX listens on a port that only the network's own rules guard. Empty: none.
  std::string devices;
};

/// "shm,mlx5_0:1" as topologies and command lines write it: shared memory, then devices; kUsage for
/// an empty name.
Result<Ways> parse_ways(std::string_view text);

/// UCX itself, opened once a process. Thread: any. Memory: links hold it.
class Context {
 public:
  /// kUsage, naming the devices, when UCX cannot use them.
  static Result<std::shared_ptr<Context>> open(const Ways& ways);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void* raw() const { return raw_; }  ///< a ucp_context_h, whose header is for endpoint.cc alone

 private:
  explicit Context(void* raw) : raw_(raw) {}
  void* raw_;
};

using Joined = std::function<void(Result<std::unique_ptr<Link>>)>;

/// Makes a link of a life line between two peers, both of which call this; nothing has been sent on
/// it, and it lives on `loop`. `done` runs once on the loop, when frames go both ways: kTimedOut at
/// `deadline`, kPeerLost when UCX finds no way to the peer, kProto for a bad hello, and what ends
/// the life line.
/// Thread: the loop's drives UCX, woken by the worker's descriptor. It polls for some microseconds
///   after the last byte has moved, and each millisecond while a peer takes nothing of what was
///   sent; at rest it does nothing.
/// Order: one UCX stream. Memory: two copies a frame, none of them here: into shared memory and
///   out of it; a peer may send kWindow (wire.h) before our reader takes it, more is kProto.
/// Failure: as Link. A peer that dies is kPeerLost within milliseconds; one that freezes is noticed
///   by whoever is above or by the life line, if either sends pings.
void join(Loop& loop, std::shared_ptr<Context> context, std::unique_ptr<Link> life_line,
          Deadline deadline, Joined done);

}  // namespace reef::link::ucx
