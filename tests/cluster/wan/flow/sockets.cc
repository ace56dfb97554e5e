#include "tests/cluster/wan/flow/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

namespace reef::flow {
namespace {

Error failed(Code code, const std::string& where, const std::string& what) {
  return Error{code, where, what + ": " + std::strerror(errno)};
}

std::string available_controls() {
  std::ifstream file("/proc/sys/net/ipv4/tcp_available_congestion_control");
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<sockaddr_in> parse_address(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::size_t colon = text.find(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos &&
      ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) == 1) {
    const char* const end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data() + colon + 1, end, port);
    address.sin_port = htons(port);
    if (failure == std::errc() && stop == end) return address;
  }
  return Error{Code::kUsage, text,
               "is not an IPv4 address and a port; for instance 10.77.0.2:5001"};
}

std::string to_text(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(address.sin_port));
}

Result<Socket> bind_to(const sockaddr_in& address, int type) {
  Socket socket(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!socket) return failed(Code::kIo, to_text(address), "no socket");
  if (type == SOCK_STREAM) ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed(errno == EADDRINUSE ? Code::kAddressInUse : Code::kUsage, to_text(address),
                  "cannot be bound");
  }
  return socket;
}

sockaddr_in bound_address(const Socket& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

Result<Socket> connect_to(const sockaddr_in& address, const std::string& congestion,
                          Deadline deadline) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failed(Code::kIo, to_text(address), "no socket");
  if (!congestion.empty() &&
      ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                   static_cast<socklen_t>(congestion.size())) != 0) {
    return failed(Code::kUsage, congestion, "is refused; the kernel has " + available_controls());
  }
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return socket;
  if (errno != EINPROGRESS) return failed(Code::kPeerLost, to_text(address), "cannot be reached");
  if (!wait_for(socket.fd(), POLLOUT, deadline)) {
    return Error{Code::kTimedOut, to_text(address), "does not answer"};
  }
  socklen_t size = sizeof errno;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &errno, &size);
  if (errno != 0) return failed(Code::kPeerLost, to_text(address), "cannot be reached");
  return socket;
}

std::string congestion_of(const Socket& socket) {
  std::array<char, 16> name{};
  socklen_t size = name.size() - 1;
  ::getsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size);
  return name.data();
}

bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - system_clock().now()).count();
    if (left <= 0) return false;
    pollfd entry{fd, events, 0};
    if (::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) > 0) return true;
  }
}

Status send_all(const Socket& socket, const void* bytes, std::size_t count, Deadline deadline) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t n = ::send(socket.fd(), from, count, MSG_NOSIGNAL);
    if (n > 0) {
      from += n;
      count -= static_cast<std::size_t>(n);
    } else if (errno != EAGAIN && errno != EINTR) {
      return failed(Code::kPeerLost, "connection", "broke");
    } else if (!wait_for(socket.fd(), POLLOUT, deadline)) {
      return Error{Code::kTimedOut, "connection", "takes no bytes"};
    }
  }
  return {};
}

}  // namespace reef::flow
