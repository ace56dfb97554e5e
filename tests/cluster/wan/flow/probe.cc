#include "tests/cluster/wan/flow/probe.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

namespace reef::flow {
namespace {

constexpr std::uint32_t kMostPerWakeUp = 64;  // then answers get their turn

struct Mark {
  std::uint64_t number;
  std::int64_t sent_ns;
};

class Prober {
 public:
  explicit Prober(const ProbeOptions& options, Socket socket)
      : options_(options),
        socket_(std::move(socket)),
        seen_(options.count),
        datagram_(options.size) {}

  nlohmann::ordered_json run() {
    const Time began = system_clock().now();
    while (sent_ < options_.count) {
      const Time now = system_clock().now();
      std::uint32_t burst = 0;
      while (sent_ < options_.count && began + sent_ * options_.interval <= now &&
             burst++ < kMostPerWakeUp) {
        send_one();
      }
      wait_and_read(began + sent_ * options_.interval);
    }
    const double sending = seconds(system_clock().now() - began);
    const Deadline end = system_clock().now() + options_.wait;
    while (trips_.size() < options_.count && system_clock().now() < end) wait_and_read(end);
    return result(sending);
  }

 private:
  void send_one() {
    const Mark mark{sent_++, system_clock().now().time_since_epoch().count()};
    std::memcpy(datagram_.data(), &mark, sizeof mark);
    ::send(socket_.fd(), datagram_.data(), datagram_.size(),
           0);  // what the kernel refuses counts as lost
  }

  void wait_and_read(Time until) {
    const auto left = std::max<std::int64_t>(0, (until - system_clock().now()).count());
    const timespec wait{static_cast<time_t>(left / 1'000'000'000),
                        static_cast<long>(left % 1'000'000'000)};
    pollfd entry{socket_.fd(), POLLIN, 0};
    if (::ppoll(&entry, 1, &wait, nullptr) <= 0) return;
    std::array<char, 65536> answer;
    for (ssize_t n; (n = ::recv(socket_.fd(), answer.data(), answer.size(), 0)) >= 0;) {
      if (static_cast<std::size_t>(n) != options_.size) continue;
      Mark mark;
      std::memcpy(&mark, answer.data(), sizeof mark);
      take(mark);
    }
  }

  void take(const Mark& mark) {
    if (mark.number >= sent_) return;
    if (seen_[mark.number]) {
      ++duplicates_;
      return;
    }
    seen_[mark.number] = true;
    if (mark.number < highest_) ++reordered_;
    highest_ = std::max(highest_, mark.number);
    trips_.push_back(
        static_cast<double>(system_clock().now().time_since_epoch().count() - mark.sent_ns) / 1e6);
  }

  nlohmann::ordered_json result(double sending) {
    std::sort(trips_.begin(), trips_.end());
    const auto at = [this](double share) {
      return trips_.empty()
                 ? 0.0
                 : trips_[static_cast<std::size_t>(share * static_cast<double>(trips_.size() - 1))];
    };
    const double mean = trips_.empty() ? 0.0
                                       : std::accumulate(trips_.begin(), trips_.end(), 0.0) /
                                             static_cast<double>(trips_.size());
    return {
        {"sent", options_.count},
        {"received", trips_.size()},
        {"loss", 1.0 - static_cast<double>(trips_.size()) / options_.count},
        {"duplicates", duplicates_},
        {"reordered", reordered_},
        {"sending_seconds", sending},
        {"rtt_ms",
         {{"min", at(0)}, {"median", at(0.5)}, {"mean", mean}, {"p99", at(0.99)}, {"max", at(1)}}}};
  }

  const ProbeOptions& options_;
  const Socket socket_;
  std::vector<bool> seen_;
  std::vector<char> datagram_;
  std::vector<double> trips_;
  std::uint64_t sent_ = 0, highest_ = 0, duplicates_ = 0, reordered_ = 0;
};

}  // namespace

Result<std::string> probe(const ProbeOptions& options) {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  ATOLL_ASSIGN(Socket socket, bind_to(any, SOCK_DGRAM));
  const int buffer = 8 << 20;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&options.address),
                sizeof options.address) != 0) {
    return Error{Code::kPeerLost, to_text(options.address), "cannot be reached"};
  }
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  return Prober(options, std::move(socket)).run().dump();
}

}  // namespace reef::flow
