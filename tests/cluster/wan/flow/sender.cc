#include "tests/cluster/wan/flow/sender.h"

#include <linux/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/cluster/wan/flow/wire.h"

namespace reef::flow {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr int kUnsentLimit = 128 * 1024;  // more would only fill memory
constexpr std::array<char, 128 * 1024> kZeros{};

struct Flows {
  Socket control;
  std::vector<Socket> data;
};

Error broken(const std::string& what) { return Error{Code::kPeerLost, "receiver", what}; }

std::uint32_t in_ms(Duration time) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

Result<Flows> open_flows(const SendOptions& options, Deadline deadline) {
  Flows flows;
  const auto hello = [&options](Kind kind) {
    return Hello::make(kind, options.flows, in_ms(options.skip), in_ms(options.window));
  };
  const Hello control = hello(Kind::kControl), data = hello(Kind::kData);
  ATOLL_ASSIGN(flows.control, connect_to(options.address, "", deadline));
  ATOLL_TRY(send_all(flows.control, &control, sizeof control, deadline));
  for (std::uint32_t i = 0; i < options.flows; ++i) {
    ATOLL_ASSIGN(Socket socket, connect_to(options.address, options.congestion, deadline));
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentLimit, sizeof kUnsentLimit);
    ATOLL_TRY(send_all(socket, &data, sizeof data, deadline));
    flows.data.push_back(std::move(socket));
  }
  return flows;
}

/// Sends until the receiver says how it went.
Result<std::string> pump(const Flows& flows, Deadline deadline) {
  std::vector<pollfd> polled;
  for (const Socket& socket : flows.data) polled.push_back({socket.fd(), POLLOUT, 0});
  polled.push_back({flows.control.fd(), POLLIN, 0});
  std::string line;
  while (system_clock().now() < deadline) {
    ::poll(polled.data(), polled.size(), 1000);
    for (std::size_t i = 0; i + 1 < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      const ssize_t n = ::send(polled[i].fd, kZeros.data(), kZeros.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN && errno != EINTR) polled[i].fd = -1;  // the control says why
    }
    if (polled.back().revents == 0) continue;
    std::array<char, 4096> part;
    const ssize_t n = ::recv(flows.control.fd(), part.data(), part.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return broken("has gone");
    if (n > 0) line.append(part.data(), static_cast<std::size_t>(n));
    if (line.ends_with('\n')) return line;
    if (line.size() > kMostResult) return broken("says too much");
  }
  return Error{Code::kTimedOut, "receiver", "has not said how it went"};
}

/// Waits for the receiver's "go": all flows are there.
Status wait_for_go(const Socket& control, Deadline deadline) {
  if (!wait_for(control.fd(), POLLIN, deadline))
    return Error{Code::kTimedOut, "receiver", "does not begin"};
  char byte = 0;
  if (::recv(control.fd(), &byte, 1, 0) != 1 || byte != kGo)
    return broken("does not begin; it may be busy");
  return {};
}

/// What the sender's kernel knows about the flows.
void add_kernel_view(const Flows& flows, nlohmann::ordered_json& json) {
  std::uint64_t retransmitted = 0, sent = 0;
  std::vector<double> smoothed;
  double least = 0;
  for (const Socket& socket : flows.data) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) continue;
    retransmitted += info.tcpi_total_retrans;
    sent += info.tcpi_segs_out;
    smoothed.push_back(info.tcpi_rtt / 1e3);
    if (least == 0 || info.tcpi_min_rtt / 1e3 < least) least = info.tcpi_min_rtt / 1e3;
  }
  std::sort(smoothed.begin(), smoothed.end());
  json["segments_sent"] = sent;
  json["segments_retransmitted"] = retransmitted;
  json["least_rtt_ms"] = least;
  json["smoothed_rtt_ms"] = smoothed.empty() ? 0.0 : smoothed[smoothed.size() / 2];
}

Result<std::string> result_of(const SendOptions& options, const Flows& flows,
                              const std::string& line) {
  const auto result = nlohmann::json::parse(line, nullptr, false);
  if (result.is_object() && result.contains("error")) return broken(result["error"].dump());
  const bool sound = result.is_object() && result.contains("bytes") && result["bytes"].is_array() &&
                     result["bytes"].size() == flows.data.size() && result.contains("seconds") &&
                     result["seconds"].is_number() && result["seconds"].get<double>() > 0;
  if (!sound) return broken("answers what is no result");
  const double window = result["seconds"].get<double>();
  std::vector<double> each;
  double total = 0;
  for (const auto& bytes : result["bytes"]) {
    if (!bytes.is_number_unsigned()) return broken("answers what is no result");
    each.push_back(static_cast<double>(bytes.get<std::uint64_t>()) * 8 / window / 1e6);
    total += each.back();
  }
  nlohmann::ordered_json json{{"flows", options.flows},
                              {"congestion", congestion_of(flows.data.front())},
                              {"skipped_seconds", seconds(options.skip)},
                              {"seconds", window},
                              {"goodput_mbit", total},
                              {"flow_mbit", each}};
  add_kernel_view(flows, json);
  return json.dump();
}

}  // namespace

Result<std::string> send(const SendOptions& options) {
  const Time began = system_clock().now();
  ATOLL_ASSIGN(const Flows flows, open_flows(options, began + kPatience));
  ATOLL_TRY(wait_for_go(flows.control, began + 2 * kPatience));
  ATOLL_ASSIGN(const std::string line,
               pump(flows, system_clock().now() + options.skip + options.window + kPatience));
  return result_of(options, flows, line);
}

}  // namespace reef::flow
