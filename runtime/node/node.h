#pragma once
// A node: one process that offers a device to the cluster. It dials the scheduler, takes its part
// of a plan, joins its peers, runs the crew of actors, and reports. `atoll node` is this and
// nothing more.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/link/channel/channel.h"
#include "runtime/link/loop.h"
#include "runtime/link/relay/relay.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/link/ucx/ucx.h"
#include "runtime/node/crew.h"
#include "runtime/node/identity.h"
#include "runtime/node/peers.h"
#include "runtime/node/protocol.h"
#include "runtime/node/renewal.h"
#include "runtime/node/sessions.h"

namespace reef::node {

struct NodeOptions {
  std::string scheduler_host;
  std::uint16_t scheduler_port = 0;
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;                      ///< 0: any free one
  Reach dialable = Reach::kAnywhere;                  ///< nowhere: it does not listen
  std::shared_ptr<link::ucx::Context> ucx = nullptr;  ///< null: not offered
};

/// Thread: run() on the caller's; everything else inside lives on the loop's thread, except what
/// Events and Wire say. Order: hello -> assign -> (peers connected, crew made) ready -> start ->
/// ... -> stop; at any time credential, roster. Failure: a lost scheduler, a refused assignment or
/// a failed actor ends the node; the scheduler hears the reason first if it can.
class Node final : public Events, public Wire {
 public:
  Node(Identity identity, NodeOptions options, CrewFactory factory);
  ~Node() override;

  /// Serves one plan and returns when the scheduler says stop; an Error when it ended otherwise.
  Status run();

  void progress(const Progress& progress) override;
  void checkpoint_written(std::uint64_t step, const std::string& folder) override;
  void failed(const std::string& actor, const Error& error) override;
  void held(const std::string& actor, std::uint64_t step) override;
  void send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) override;
  void send_credit(std::uint32_t edge) override;
  link::LineNow line(std::uint32_t edge) const override;

 private:
  Status listen();
  void dial_scheduler();
  void joined(std::unique_ptr<link::secure::SecureLink> link);
  void on_control(link::Message message);
  void sealed(std::unique_ptr<link::secure::SecureLink> link);
  void gathered(link::Streams streams);
  void welcome(link::Streams streams);
  Status probe_line(const link::Message& message);
  void answer_probe(link::Streams streams);
  Status dispatch(Kind kind, const link::Message& message);
  Status on_identity(Kind kind, const link::Message& message);
  Status assign(const link::Message& message);
  void ready();
  void on_peer(plan::NodeIndex from, link::Message message);
  void presented(plan::NodeIndex from, const link::Message& message);
  Status accept_token(plan::NodeIndex from, link::Message message);
  Status accept_credit(plan::NodeIndex from, const link::Message& message);
  const plan::Edge* wire_edge(std::uint32_t edge) const;
  void report(link::Message message);
  Traffic traffic() const;
  void heartbeat();
  void stop();
  void end(Status status);

  Identity identity_;
  NodeOptions options_;
  CrewFactory factory_;
  security::Policy policy_ = node_policy();
  link::Loop loop_;
  Sessions sessions_;
  Sessions::Id control_session_ = 0;
  std::unique_ptr<Renewal> renewal_;
  std::unique_ptr<link::tcp::Listener> listener_;
  std::unique_ptr<link::Channel> control_;
  std::optional<plan::Plan> plan_;
  Assign assign_;
  link::StreamGatherer gatherer_;
  std::map<std::uint64_t, std::unique_ptr<link::ProbeServer>> probed_;
  std::uint64_t next_probe_ = 1;
  std::vector<link::Streams> early_;  ///< peers and legs that came before our plan
  std::unique_ptr<link::relay::Relay> relay_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Crew> crew_;
  std::atomic<std::uint64_t> payload_bytes_{0};
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Status> outcome_;
};

}  // namespace reef::node
