#pragma once
// A node: one process that offers a device to the cluster. It dials the scheduler, takes its part
// of one job after another (assignment.h), and reports. `atoll node` is this and nothing more.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/link/channel/channel.h"
#include "runtime/link/loop.h"
#include "runtime/link/relay/relay.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/link/ucx/ucx.h"
#include "runtime/node/assignment.h"
#include "runtime/node/crew.h"
#include "runtime/node/identity.h"
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

/// Thread: run() on the caller's; everything else inside lives on the loop's thread.
/// Order: hello; then for each job assign -> (peers connected, crew made) ready -> start -> ... ->
/// stop -> stopped; at any time credential, roster, and at last a stop of the node itself.
/// Failure: a lost scheduler ends the node, unless it has an island's job, which goes on as long as
/// the job's outage says, while the scheduler is dialled again and again; a refused assignment or a
/// failed actor ends the job, of which the scheduler hears the reason.
class Node final {
 public:
  Node(Identity identity, NodeOptions options, CrewFactory factory);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Serves until the scheduler tells the node to stop; an Error when it ended otherwise.
  Status run();

 private:
  Status listen();
  void dial_scheduler();
  void joined(std::unique_ptr<link::secure::SecureLink> link);
  void scheduler_lost(const Error& why);
  Duration outage() const;
  void on_control(link::Message message);
  void sealed(std::unique_ptr<link::secure::SecureLink> link);
  void gathered(link::Streams streams);
  Assignment* job_of(const link::secure::StreamId& stream) const;
  void welcome(Assignment& job, link::Streams streams);
  void welcome_early();
  Status probe_line(const link::Message& message);
  void answer_probe(link::Streams streams);
  Status dispatch(Kind kind, const link::Message& message);
  Status on_identity(Kind kind, const link::Message& message);
  void assign(const link::Message& message);
  Status take(Assign assign);
  Status meet(const link::Message& message);
  Status may_be_joined(const security::Credential& who, const link::relay::Join& join) const;
  void report(link::Message message);
  void refuse(std::uint64_t epoch, const Error& error);
  Heartbeat pulse(const Assignment& job) const;
  void heartbeat();
  void stop(Assignment& job);
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
  std::mutex control_mutex_;                ///< of who reports from another thread
  std::unique_ptr<link::Channel> control_;  ///< null out of the scheduler's reach
  Time joined_at_{};
  std::optional<Time> unreachable_since_;
  std::optional<Time> repeat_from_;  ///< what was reported since then may not have arrived
  link::StreamGatherer gatherer_;
  std::map<std::uint64_t, std::unique_ptr<link::ProbeServer>> probed_;
  std::uint64_t next_probe_ = 1;
  struct Early {
    Time since;
    link::Streams streams;
  };
  std::vector<Early> early_;  ///< peers, legs and partners before our part of their job
  std::uint64_t newest_ = 0;  ///< epoch that we had a part in
  link::relay::Relay relay_;
  std::map<std::uint64_t, std::unique_ptr<Assignment>> jobs_;  ///< by epoch
  bool over_ = false;  ///< nothing is reported any more; no crew is left

  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Status> outcome_;
};

}  // namespace reef::node
