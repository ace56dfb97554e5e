#include "runtime/node/peers.h"

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/link/relay/dial.h"
#include "runtime/node/over_ucx.h"
#include "scheduler/plan/route.h"

namespace reef::node {
namespace {

security::PublicKey key_of(const Peer& peer) {
  security::PublicKey key;
  std::ranges::copy(peer.noise_key, key.begin());
  return key;
}

/// For what runs through a relay: the relay notices sooner that a side of it is silent, and knows
/// which.
link::secure::Local patient(link::secure::Local local) {
  local.lost_after += local.lost_after / 2;
  return local;
}

}  // namespace

std::uint64_t largest_token(const plan::Plan& plan) {
  std::uint64_t largest = 0;
  for (const plan::Edge& edge : plan.edges) largest = std::max(largest, edge.bytes);
  return largest + largest / 8 + 65536;
}

Peers::Peers(link::Loop& loop, const Identity& identity, Sessions& sessions, const plan::Plan& plan,
             const Assign& assign, PeerTimes times, Callbacks callbacks)
    : loop_(loop),
      identity_(identity),
      sessions_(sessions),
      plan_(plan),
      assign_(assign),
      times_(times),
      callbacks_(std::move(callbacks)) {
  for (const plan::Route& route : plan.routes) {
    if (route.dialler == assign.node) expected_[route.acceptor] = route;
    if (route.acceptor == assign.node) expected_[route.dialler] = route;
  }
}

void Peers::connect() {
  for (const auto& [node, route] : expected_) {
    if (route.acceptor == node) {
      dial(node, route);
    } else if (route.relay) {
      attend(node, route);
    }
  }
  // Who has not come by then will not come.
  loop_.at(loop_.clock().now() + times_.join, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    for (const auto& [node, route] : expected_) {
      if (!channels_.contains(node))
        lost(node, Error{Code::kTimedOut, "", "did not connect in time"});
    }
  });
  if (expected_.empty()) callbacks_.on_ready();
}

/// As this job asks for.
link::secure::Local Peers::local() const {
  link::secure::Local local = identity_.local;
  local.lost_after = times_.lost_after;
  local.ping_every = times_.lost_after / 4;
  return local;
}

link::StreamOptions Peers::streams_to(plan::NodeIndex node) const {
  link::StreamOptions options{.epoch = assign_.epoch, .data = assign_.peers[node].streams};
  options.socket.congestion = assign_.peers[node].congestion;
  return options;
}

void Peers::dial(plan::NodeIndex node, const plan::Route& route) {
  const Deadline deadline = loop_.clock().now() + times_.join;
  const Peer& peer = assign_.peers[node];
  const link::secure::ExpectedPeer expected{key_of(peer), security::Role::kNode};
  const auto done = [this, node, alive = std::weak_ptr(alive_)](auto streams) {
    if (alive.expired()) return;
    if (!streams.ok()) return lost(node, streams.error());
    if (over_ucx(node)) return to_ucx(node, std::move(*streams), true);
    connected(node, std::move(*streams));
  };
  if (route.relay) {
    link::connect_streams(through(node, *route.relay), patient(local()), expected, streams_to(node),
                          deadline, done);
  } else {
    const link::StreamOptions life_line{.purpose = link::secure::Purpose::kUcx,
                                        .epoch = assign_.epoch};
    link::connect_streams(loop_, peer.host, peer.port, local(), expected,
                          over_ucx(node) ? life_line : streams_to(node), deadline, done);
  }
}

/// Comes to the relay for each stream, where the other end begins the handshake.
void Peers::attend(plan::NodeIndex node, const plan::Route& route) {
  const Deadline deadline = loop_.clock().now() + times_.join;
  const link::OpenStream open = through(node, *route.relay);
  const link::StreamOptions options = streams_to(node);
  const auto sealed = [this, node, alive = std::weak_ptr(alive_)](auto link) {
    if (alive.expired()) return;
    if (!link.ok()) return lost(node, link.error());
    callbacks_.on_stream(std::move(*link));
  };
  for (std::uint16_t stream = 0; stream <= options.data; ++stream) {
    open({.stream = stream}, stream == 0 ? options.control : options.socket, deadline,
         [local = patient(local()), deadline, sealed](auto plain) {
           if (!plain.ok())
             return sealed(Result<std::unique_ptr<link::secure::SecureLink>>(plain.error()));
           link::secure::accept(std::move(*plain), local, deadline, sealed);
         });
  }
}

/// How streams to a node are opened that only `relay` reaches.
link::OpenStream Peers::through(plan::NodeIndex node, plan::NodeIndex relay) const {
  const Peer &between = assign_.peers[relay], &far = assign_.peers[node];
  const link::relay::Through way{between.name, between.host, between.port, key_of(between)};
  const link::relay::Join join{assign_.epoch, key_of(far), 0};
  return [&loop = loop_, local = local(), way, join, name = far.name](
             const link::secure::StreamId& id, const link::tcp::SocketOptions& options,
             Deadline deadline, link::tcp::Dialled done) {
    link::relay::dial(loop, way, local, {join.epoch, join.far, id.stream}, name, deadline, options,
                      std::move(done));
  };
}

void Peers::accepted(link::Streams streams) {
  const security::Credential& peer = streams.front()->peer();
  for (const auto& [node, route] : expected_) {
    const bool same = plan_.nodes[node].name == peer.name &&
                      std::ranges::equal(assign_.peers[node].noise_key, peer.noise_key);
    if (!same || route.dialler != node || channels_.contains(node)) continue;
    for (const auto& stream : streams)
      stream->keep_alive(times_.lost_after / 4,
                         route.relay ? patient(local()).lost_after : times_.lost_after);
    if (over_ucx(node)) return to_ucx(node, std::move(streams), false);
    return connected(node, std::move(streams));
  }
}

bool Peers::over_ucx(plan::NodeIndex node) const {
  return plan::over_ucx(plan_, expected_.at(node));
}

void Peers::to_ucx(plan::NodeIndex node, link::Streams life_line, bool dialled) {
  const Deadline deadline = loop_.clock().now() + times_.join;
  Identity ours = identity_;
  ours.local = local();
  node::to_ucx(loop_, ucx_, ours, std::move(life_line), dialled, deadline,
               [this, node, alive = std::weak_ptr(alive_)](auto streams) {
                 if (alive.expired()) return;
                 if (!streams.ok()) return lost(node, streams.error());
                 if (channels_.contains(node)) return;
                 log_info("joined " + streams->front()->peer_name());
                 connected(node, std::move(*streams));
               });
}

void Peers::connected(plan::NodeIndex node, link::Streams streams) {
  session_of_[node] = sessions_.add(streams.front()->peer(), [this, node](const Error& why) {
    lost(node, why);
    channels_.at(node)->close(false);
  });
  auto channel = link::Channel::create(std::move(streams), {.max_payload = largest_token(plan_)});
  link::Channel& started = *channel;
  channels_[node] = std::move(channel);
  started.start(
      [this, node](link::Message message) { callbacks_.on_message(node, std::move(message)); },
      [this, node](const Error& why) { lost(node, why); });
  if (channels_.size() == expected_.size()) callbacks_.on_ready();
}

void Peers::lost(plan::NodeIndex node, const Error& error) {
  if (const auto session = session_of_.find(node); session != session_of_.end())
    sessions_.remove(session->second);
  if (closing_ || !lost_.insert(node).second) return;
  callbacks_.on_lost(plan_.nodes[node].name, error);
}

Traffic Peers::traffic() const {
  Traffic traffic;
  for (const auto& [node, channel] : channels_)
    traffic.wire_bytes += channel->counters().wire_bytes_sent;
  return traffic;
}

void Peers::sample_lines() {
  for (const auto& [node, channel] : channels_) {
    link::LineMeter& meter = meters_[node];
    meter.sample(channel->transport_stats());
    const std::lock_guard lock(lines_mutex_);
    lines_[node] = meter.now();
  }
}

link::LineNow Peers::line(plan::NodeIndex node) const {
  const std::lock_guard lock(lines_mutex_);
  const auto found = lines_.find(node);
  return found == lines_.end() ? link::LineNow{} : found->second;
}

void Peers::present(const Bytes& credential, Deadline deadline) {
  for (const auto& [node, channel] : channels_)
    channel->send(present_message(credential), deadline, [](const Status&) {});
}

Status Peers::presented(plan::NodeIndex node, BytesView credential) {
  return sessions_.renewed(session_of_.at(node), credential);
}

void Peers::close() {
  closing_ = true;
  for (const auto& [node, session] : session_of_) sessions_.remove(session);
  for (const auto& [node, channel] : channels_) channel->close(false);
}

}  // namespace reef::node
