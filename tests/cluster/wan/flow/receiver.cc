#include "tests/cluster/wan/flow/receiver.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "tests/cluster/wan/flow/wire.h"

namespace reef::flow {
namespace {

constexpr std::chrono::seconds kHelloLimit{5};
constexpr std::chrono::seconds kGatherLimit{30};  // for all flows of a run to connect
constexpr std::size_t kBytesPerRead = 1 << 20;
constexpr int kDatagramsPerWakeUp = 64;

using std::chrono::milliseconds;

class Receiver {
 public:
  Receiver(Socket listener, Socket datagrams, bool once)
      : listener_(std::move(listener)), datagrams_(std::move(datagrams)), once_(once) {}

  void serve() {
    while (!done_) {
      wait();
      const Time now = system_clock().now();
      if (ready(0)) accept_some(now);
      if (ready(1)) echo();
      serve_guests(now);
      serve_run(now);
    }
  }

 private:
  /// A connection that has not said what it is.
  struct Guest {
    Socket socket;
    Deadline deadline;
    Hello hello{};
    std::size_t have = 0;
  };
  struct Flow {
    Socket socket;
    std::uint64_t bytes = 0;  ///< inside the window
  };
  struct Run {
    Socket control;
    std::uint32_t flows;
    Duration skip, window;
    Deadline gathered;  ///< by when all flows are there
    std::optional<Time> began;
    Time counted{};  ///< the last look at the flows inside the window
    std::vector<Flow> data;
  };

  bool ready(std::size_t index) const { return polled_[index].revents != 0; }

  void wait() {
    polled_ = {{listener_.fd(), POLLIN, 0}, {datagrams_.fd(), POLLIN, 0}};
    Deadline until = kNoDeadline;
    for (const Guest& guest : guests_) {
      polled_.push_back({guest.socket.fd(), POLLIN, 0});
      until = std::min(until, guest.deadline);
    }
    if (run_) {
      polled_.push_back({run_->control.fd(), POLLIN, 0});
      for (const Flow& flow : run_->data) polled_.push_back({flow.socket.fd(), POLLIN, 0});
      until =
          std::min(until, run_->began ? *run_->began + run_->skip + run_->window : run_->gathered);
    }
    int limit = -1;
    if (until != kNoDeadline) {
      const auto left = std::chrono::ceil<milliseconds>(until - system_clock().now()).count();
      limit = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }
    if (::poll(polled_.data(), polled_.size(), limit) < 0) {
      for (pollfd& entry : polled_) entry.revents = 0;
    }
  }

  void accept_some(Time now) {
    for (;;) {
      Socket socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) return;
      if (guests_.size() <= kMostFlows) guests_.push_back({std::move(socket), now + kHelloLimit});
    }
  }

  void echo() {
    std::array<char, 65536> datagram;
    for (int i = 0; i < kDatagramsPerWakeUp; ++i) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t n = ::recvfrom(datagrams_.fd(), datagram.data(), datagram.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 0) return;
      ::sendto(datagrams_.fd(), datagram.data(), static_cast<std::size_t>(n), 0,
               reinterpret_cast<const sockaddr*>(&from), size);
    }
  }

  void serve_guests(Time now) {
    for (std::size_t i = 0; i < guests_.size();) {
      Guest& guest = guests_[i];
      const bool stays = read_hello(guest) && now < guest.deadline;
      if (stays && guest.have < sizeof guest.hello) {
        ++i;
        continue;
      }
      if (stays) admit(guest, now);
      guests_.erase(guests_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  /// False: the connection has ended.
  static bool read_hello(Guest& guest) {
    const ssize_t n = ::recv(guest.socket.fd(), reinterpret_cast<char*>(&guest.hello) + guest.have,
                             sizeof guest.hello - guest.have, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    guest.have += static_cast<std::size_t>(n);
    return n > 0;
  }

  void admit(Guest& guest, Time now) {
    const Hello& hello = guest.hello;
    if (hello.is(Kind::kData) && run_ && !run_->began) {
      run_->data.push_back({std::move(guest.socket)});
      if (run_->data.size() == run_->flows) begin(now);
      return;
    }
    const std::uint32_t flows = ntohl(hello.flows), skip = ntohl(hello.skip_ms),
                        window = ntohl(hello.window_ms);
    const bool sound = flows >= 1 && flows <= kMostFlows && window >= 1 &&
                       window <= kMostWindowMs && skip <= kMostWindowMs;
    if (!hello.is(Kind::kControl) || run_ || !sound) return;
    run_.emplace(Run{std::move(guest.socket),
                     flows,
                     milliseconds(skip),
                     milliseconds(window),
                     now + kGatherLimit,
                     std::nullopt,
                     {},
                     {}});
  }

  void begin(Time now) {
    run_->began = now;
    ::send(run_->control.fd(), &kGo, 1, MSG_NOSIGNAL);
  }

  void serve_run(Time now) {
    if (!run_) return;
    char byte;
    const ssize_t n = ::recv(run_->control.fd(), &byte, 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return end_run();  // the sender has gone
    if (!run_->began) {
      if (now >= run_->gathered) answer({{"error", "not all flows connected"}});
      return;
    }
    const Time from = *run_->began + run_->skip, end = from + run_->window;
    for (Flow& flow : run_->data) {
      if (!drain(flow, now >= from)) return answer({{"error", "a flow ended before its time"}});
    }
    if (now < from) return;
    if (now >= end) return report(from, now);
  }

  /// Throws away what has arrived. False: the flow has ended.
  static bool drain(Flow& flow, bool counts) {
    const ssize_t n = ::recv(flow.socket.fd(), nullptr, kBytesPerRead, MSG_TRUNC);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (counts) flow.bytes += static_cast<std::uint64_t>(n);
    return n > 0;
  }

  void report(Time from, Time now) {
    std::vector<std::uint64_t> bytes;
    for (const Flow& flow : run_->data) bytes.push_back(flow.bytes);
    answer({{"seconds", seconds(now - from)}, {"bytes", bytes}});
  }

  void answer(const nlohmann::json& result) {
    const std::string line = result.dump() + "\n";
    ::send(run_->control.fd(), line.data(), line.size(), MSG_NOSIGNAL);
    end_run();
  }

  void end_run() {
    run_.reset();
    done_ = once_;
  }

  const Socket listener_, datagrams_;
  const bool once_;
  bool done_ = false;
  std::vector<pollfd> polled_;
  std::vector<Guest> guests_;
  std::optional<Run> run_;
};

}  // namespace

Status receive(const ReceiveOptions& options) {
  ATOLL_ASSIGN(Socket listener, bind_to(options.address, SOCK_STREAM));
  const sockaddr_in address = bound_address(listener);
  ATOLL_ASSIGN(Socket datagrams, bind_to(address, SOCK_DGRAM));
  const int buffer = 8 << 20;  // datagrams of a fast probe; the kernel's limit may be less
  ::setsockopt(datagrams.fd(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (::listen(listener.fd(), kMostFlows) != 0) {
    return Error{Code::kIo, to_text(address), "cannot be listened on"};
  }
  std::cout << nlohmann::json{{"address", to_text(address)}}.dump() << std::endl;
  Receiver(std::move(listener), std::move(datagrams), options.once).serve();
  return {};
}

}  // namespace reef::flow
