#pragma once
// The few socket calls that sender, receiver and probe share.

#include <netinet/in.h>

#include <string>
#include <utility>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef::flow {

/// Owns a descriptor. Thread: any one.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// "10.77.0.2:5001". kUsage when it is not IPv4 address and port.
Result<sockaddr_in> parse_address(const std::string& text);
std::string to_text(const sockaddr_in& address);

/// A bound socket that does not block; kAddressInUse when the port is taken.
Result<Socket> bind_to(const sockaddr_in& address, int type);
/// The address that a socket was bound to: which port 0 became.
sockaddr_in bound_address(const Socket& socket);

/// A connected TCP socket that does not block, with `congestion` (empty: the namespace's default).
/// kUsage names the controls that the kernel has when this one is not among them; kPeerLost when
/// nobody answers by `deadline`.
Result<Socket> connect_to(const sockaddr_in& address, const std::string& congestion,
                          Deadline deadline);
/// The control that the socket runs.
std::string congestion_of(const Socket& socket);

/// Waits until the descriptor has one of `events` or the deadline passes; false: it passed.
bool wait_for(int fd, short events, Deadline deadline);
/// Sends all of it, waiting as it must; kPeerLost, kTimedOut.
Status send_all(const Socket& socket, const void* bytes, std::size_t count, Deadline deadline);

}  // namespace reef::flow
