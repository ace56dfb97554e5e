#pragma once
// The sealed channels from this node to the nodes with which its part of the plan shares wire
// edges.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "runtime/link/channel/channel.h"
#include "runtime/link/channel/streams.h"
#include "runtime/link/line_meter.h"
#include "runtime/link/loop.h"
#include "runtime/link/ucx/ucx.h"
#include "runtime/node/identity.h"
#include "runtime/node/protocol.h"
#include "runtime/node/sessions.h"
#include "scheduler/plan/plan.h"

namespace reef::node {

/// The most bytes that a token of any edge takes, encoded: a little more than raw.
std::uint64_t largest_token(const plan::Plan& plan);

struct PeerTimes {
  Duration join{};        ///< for all to be connected
  Duration lost_after{};  ///< of silence, of which a quarter is broken by a ping
};

/// Who dials whom, and through whom, stands in the plan, so that there is one channel a pair. A
/// relay is only a line: the handshake, and whom it proves, is the same. Thread: the loop's, except
/// traffic() and channel() after on_ready. Failure: on_lost(name, error) for a peer that cannot be
/// reached by the deadline or is lost later; once a peer.
class Peers {
 public:
  struct Callbacks {
    std::function<void()> on_ready;  ///< every expected peer is connected
    std::function<void(const std::string& name, const Error&)> on_lost;
    std::function<void(plan::NodeIndex from, link::Message)> on_message;
    /// A stream of a pair that is relayed, whose other end began: to be gathered like one that came
    /// to our port.
    std::function<void(std::unique_ptr<link::secure::SecureLink>)> on_stream;
  };

  Peers(link::Loop& loop, const Identity& identity, Sessions& sessions, const plan::Plan& plan,
        const Assign& assign, PeerTimes times, Callbacks callbacks);
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  /// For peers with which the plan goes over UCX. Before connect().
  void offer(std::shared_ptr<link::ucx::Context> ucx) { ucx_ = std::move(ucx); }
  /// Dials whom this node dials, meets at their relay whom it does not, and waits for the others.
  void connect();
  /// A peer dialled us. Refused when nobody of this name and key is expected.
  void accepted(link::Streams streams);

  /// The channel to a node with which this one shares a wire edge.
  link::Channel& channel(plan::NodeIndex node) { return *channels_.at(node); }
  Traffic traffic() const;
  /// Looks at what the lines give; a few times a second.
  void sample_lines();
  /// What the line to a node gave when it was last looked at. Thread: any.
  link::LineNow line(plan::NodeIndex node) const;
  /// Shows everybody our renewed credential.
  void present(const Bytes& credential, Deadline deadline);
  /// A peer shows its own.
  Status presented(plan::NodeIndex node, BytesView credential);
  /// Says farewell to everybody; losses are reported no more.
  void close();

 private:
  void dial(plan::NodeIndex node, const plan::Route& route);
  void attend(plan::NodeIndex node, const plan::Route& route);
  link::OpenStream through(plan::NodeIndex node, plan::NodeIndex relay) const;
  link::StreamOptions streams_to(plan::NodeIndex node) const;
  void connected(plan::NodeIndex node, link::Streams streams);
  link::secure::Local local() const;
  bool over_ucx(plan::NodeIndex node) const;
  void to_ucx(plan::NodeIndex node, link::Streams life_line, bool dialled);
  void lost(plan::NodeIndex node, const Error& error);

  link::Loop& loop_;
  const Identity& identity_;
  Sessions& sessions_;
  const plan::Plan& plan_;
  const Assign& assign_;
  PeerTimes times_;
  std::shared_ptr<link::ucx::Context> ucx_;
  Callbacks callbacks_;
  std::map<plan::NodeIndex, plan::Route> expected_;
  std::set<plan::NodeIndex> lost_;
  std::map<plan::NodeIndex, std::unique_ptr<link::Channel>> channels_;
  std::map<plan::NodeIndex, Sessions::Id> session_of_;
  std::map<plan::NodeIndex, link::LineMeter> meters_;
  mutable std::mutex lines_mutex_;
  std::map<plan::NodeIndex, link::LineNow> lines_;
  bool closing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< dials in flight may outlive us
};

}  // namespace reef::node
