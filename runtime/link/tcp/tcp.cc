#include "runtime/link/tcp/tcp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace reef::link::tcp {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr int kAcceptsPerEvent = 64;  // then other descriptors get their turn

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::string text_of(const Address& address) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(address.raw(), address.size, host.data(), host.size(), port.data(), port.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown address";
  }
  const bool v6 = address.storage.ss_family == AF_INET6;
  return (v6 ? "[" + std::string(host.data()) + "]" : std::string(host.data())) + ":" + port.data();
}

/// `flags` with AI_NUMERICHOST never blocks.
Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(),
                             &hints, &found);
  if (rc != 0) return Error{Code::kPath, host, gai_strerror(rc)};
  std::vector<Address> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Address address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  return addresses;
}

/// Before connect or listen: the buffers decide the window that is offered.
Status apply(const SocketOptions& options, int fd) {
  ATOLL_TRY(check(options));
  const auto set = [fd](int level, int name, auto value) {
    return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
  };
  bool done = true;
  if (options.send_buffer > 0) {
    done &= set(SOL_SOCKET, SO_SNDBUF, static_cast<int>(options.send_buffer));
  }
  if (options.receive_buffer > 0) {
    done &= set(SOL_SOCKET, SO_RCVBUF, static_cast<int>(options.receive_buffer));
  }
  if (options.pace > 0) done &= set(SOL_SOCKET, SO_MAX_PACING_RATE, options.pace);
  if (!options.congestion.empty()) {
    done &= ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options.congestion.data(),
                         static_cast<socklen_t>(options.congestion.size())) == 0;
  }
  if (!done) return Error{Code::kIo, "socket options", std::strerror(errno)};
  return {};
}

/// One dial. Held by its timer, so it lives until it is done or the loop is gone.
class Dialler : public std::enable_shared_from_this<Dialler> {
 public:
  Dialler(Loop& loop, std::string name, SocketOptions options, Dialled done)
      : loop_(loop), name_(std::move(name)), options_(std::move(options)), done_(std::move(done)) {}
  ~Dialler() {
    if (fd_ >= 0) ::close(fd_);
    if (done_) done_(Error{Code::kClosed, name_, "the loop has stopped"});
  }

  void begin(Deadline deadline) {
    timer_ = loop_.at(deadline, [self = shared_from_this()] {
      self->finish(Error{Code::kTimedOut, self->name_, "no connection by the deadline"});
    });
  }
  void resolved(Result<std::vector<Address>> addresses) {
    if (!done_) return;
    if (!addresses.ok()) return finish(addresses.error());
    addresses_ = std::move(addresses).value();
    try_next();
  }

 private:
  void try_next() {
    for (; next_ < addresses_.size(); ++next_) {
      const Address& address = addresses_[next_];
      fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd_ < 0) continue;
      if (const Status applied = apply(options_, fd_); !applied.ok())
        return finish(applied.error());
      if (::connect(fd_, address.raw(), address.size) != 0 && errno != EINPROGRESS) {
        last_error_ = errno;
        ::close(std::exchange(fd_, -1));
        continue;
      }
      loop_.watch(fd_, EPOLLOUT, [weak = weak_from_this()](std::uint32_t) {
        if (const auto self = weak.lock()) self->answered();
      });
      return;
    }
    finish(
        Error{Code::kPeerLost, name_,
              std::string(std::strerror(last_error_)) + "; is it running, and is the port right?"});
  }

  void answered() {
    socklen_t size = sizeof last_error_;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &last_error_, &size);
    loop_.unwatch(fd_);
    if (last_error_ != 0) {
      ::close(std::exchange(fd_, -1));
      ++next_;
      return try_next();
    }
    finish(adopt(loop_, std::exchange(fd_, -1), "tcp " + text_of(addresses_[next_])));
  }

  void finish(Result<std::unique_ptr<Link>> result) {
    if (!done_) return;
    const auto self = shared_from_this();
    loop_.cancel(timer_);
    if (fd_ >= 0) {
      loop_.unwatch(fd_);
      ::close(std::exchange(fd_, -1));
    }
    const Dialled done = std::exchange(done_, nullptr);
    done(std::move(result));
  }

  Loop& loop_;
  std::string name_;
  SocketOptions options_;
  Dialled done_;
  TimerId timer_ = 0;
  std::vector<Address> addresses_;
  std::size_t next_ = 0;
  int fd_ = -1;
  int last_error_ = EHOSTUNREACH;
};

}  // namespace

Status check(const SocketOptions& options) {
  if (options.congestion.empty()) return {};
  std::ifstream file("/proc/sys/net/ipv4/tcp_available_congestion_control");
  std::string offered;
  std::getline(file, offered);
  std::istringstream names(offered);
  for (std::string name; names >> name;) {
    if (name == options.congestion) return {};
  }
  return Error{Code::kUsage, "congestion control " + options.congestion,
               "this machine does not offer it; there are: " + offered + "; modprobe tcp_" +
                   options.congestion + " may add it"};
}

void dial(Loop& loop, std::string host, std::uint16_t port, Deadline deadline, Dialled done,
          const SocketOptions& options) {
  const auto dialler =
      std::make_shared<Dialler>(loop, host + ":" + std::to_string(port), options, std::move(done));
  loop.post([dialler, &loop, host, port, deadline] {
    dialler->begin(deadline);
    auto numeric = resolve(host, port, AI_NUMERICHOST);
    if (numeric.ok()) return dialler->resolved(std::move(numeric));
    loop.run_blocking([dialler, &loop, host, port] {
      auto addresses = std::make_shared<Result<std::vector<Address>>>(resolve(host, port, 0));
      loop.post([dialler, addresses] { dialler->resolved(std::move(*addresses)); });
    });
  });
}

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(Loop& on, int listening, Accepted handler)
      : loop(on), fd(listening), accepted(std::move(handler)) {}
  ~State() {
    if (fd >= 0) ::close(fd);
  }

  void watch() {
    loop.watch(fd, EPOLLIN, [weak = weak_from_this()](std::uint32_t) {
      if (const auto self = weak.lock()) self->accept_all();
    });
  }

  void accept_all() {
    for (int i = 0; i < kAcceptsPerEvent && fd >= 0; ++i) {
      Address address;
      address.size = sizeof address.storage;
      const int peer = ::accept4(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (peer >= 0) {
        if (Gate::Pass pass = gate.enter(*address.raw(), loop.clock().now())) {
          accepted(adopt(loop, peer, "tcp " + text_of(address), std::move(pass)));
        } else {
          ::close(peer);
        }
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      return pause();
    }
  }

  void pause() {
    loop.unwatch(fd);
    loop.at(loop.clock().now() + kAcceptPause, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self && self->fd >= 0) self->watch();
    });
  }

  void end() {
    loop.unwatch(fd);
    ::close(std::exchange(fd, -1));
  }

  Loop& loop;
  int fd;
  Accepted accepted;
  Gate gate;
};

namespace {

Result<int> open_listening(const Address& address, const SocketOptions& options) {
  const std::string name = text_of(address);
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{Code::kIo, name, std::strerror(errno)};
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (const Status applied = apply(options, fd); !applied.ok()) {
    ::close(fd);
    return applied.error();
  }
  if (::bind(fd, address.raw(), address.size) == 0 && ::listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  ::close(fd);
  if (error == EADDRINUSE) {
    return Error{Code::kAddressInUse, name,
                 "another process listens here; stop it or choose another port (ss -ltnp shows "
                 "which)"};
  }
  return Error{Code::kIo, name, std::strerror(error)};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::listen(Loop& loop, const std::string& host,
                                                   std::uint16_t port, Accepted accepted,
                                                   const SocketOptions& options) {
  ATOLL_ASSIGN(const std::vector<Address> addresses, resolve(host, port, AI_PASSIVE));
  ATOLL_ASSIGN(const int fd, open_listening(addresses.front(), options));
  Address bound;
  bound.size = sizeof bound.storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size);
  const std::uint16_t port_bound =
      bound.storage.ss_family == AF_INET6
          ? ntohs(reinterpret_cast<const sockaddr_in6*>(&bound.storage)->sin6_port)
          : ntohs(reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
  auto state = std::make_shared<State>(loop, fd, std::move(accepted));
  loop.call([state] { state->watch(); });
  return std::unique_ptr<Listener>(new Listener(std::move(state), port_bound));
}

Listener::Listener(std::shared_ptr<State> state, std::uint16_t port)
    : state_(std::move(state)), port_(port) {}

Listener::~Listener() {
  state_->loop.call([state = state_] { state->end(); });
}

}  // namespace reef::link::tcp
