#include "runtime/node/peers.h"

#include <algorithm>

namespace reef::node {

Peers::Peers(link::Loop& loop, const Identity& identity, Sessions& sessions, const plan::Plan& plan,
             const Assign& assign, Duration timeout, Callbacks callbacks)
    : loop_(loop),
      identity_(identity),
      sessions_(sessions),
      plan_(plan),
      assign_(assign),
      timeout_(timeout),
      callbacks_(std::move(callbacks)) {
  for (const plan::Edge& edge : plan.edges) {
    if (!edge.wire) continue;
    const plan::NodeIndex from = plan.actors[edge.producer].node;
    const plan::NodeIndex to = plan.actors[edge.consumer].node;
    if (from == assign.node) expected_.insert(to);
    if (to == assign.node) expected_.insert(from);
  }
}

void Peers::connect() {
  for (const plan::NodeIndex node : expected_) {
    if (node > assign_.node) dial(node, assign_.peers[node]);
  }
  // Who has not come by then will not come.
  loop_.at(loop_.clock().now() + timeout_, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    for (const plan::NodeIndex node : expected_) {
      if (!channels_.contains(node))
        lost(node, Error{Code::kTimedOut, "", "did not connect in time"});
    }
  });
  if (expected_.empty()) callbacks_.on_ready();
}

void Peers::dial(plan::NodeIndex node, const Peer& peer) {
  const Deadline deadline = loop_.clock().now() + timeout_;
  link::secure::ExpectedPeer expected{.role = security::Role::kNode};
  std::copy(peer.noise_key.begin(), peer.noise_key.end(), expected.noise_key.begin());
  link::StreamOptions options{.data = peer.streams};
  options.socket.congestion = peer.congestion;
  link::connect_streams(loop_, peer.host, peer.port, identity_.local, expected, options, deadline,
                        [this, node, alive = std::weak_ptr(alive_)](auto streams) {
                          if (alive.expired()) return;
                          if (!streams.ok()) return lost(node, streams.error());
                          connected(node, std::move(*streams));
                        });
}

void Peers::accepted(link::Streams streams) {
  const security::Credential& peer = streams.front()->peer();
  for (const plan::NodeIndex node : expected_) {
    const bool same = plan_.nodes[node].name == peer.name &&
                      std::ranges::equal(assign_.peers[node].noise_key, peer.noise_key);
    if (same && node < assign_.node && !channels_.contains(node))
      return connected(node, std::move(streams));
  }
}

void Peers::connected(plan::NodeIndex node, link::Streams streams) {
  std::uint64_t largest = 0;
  for (const plan::Edge& edge : plan_.edges) largest = std::max(largest, edge.bytes);
  session_of_[node] = sessions_.add(streams.front()->peer(), [this, node](const Error& why) {
    lost(node, why);
    channels_.at(node)->close(false);
  });
  // An encoded token is at most a little longer than the raw one.
  auto channel =
      link::Channel::create(std::move(streams), {.max_payload = largest + largest / 8 + 65536});
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
