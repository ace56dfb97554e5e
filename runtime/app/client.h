#pragma once
// A client of the scheduler: submits one job and hands its events to the caller's thread.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "runtime/link/channel/channel.h"
#include "runtime/link/loop.h"
#include "runtime/node/identity.h"
#include "runtime/node/protocol.h"
#include "runtime/node/renewal.h"
#include "runtime/node/sessions.h"

namespace reef::app {

/// What the scheduler says of the job; an Error of its own means the connection is gone.
using Event = std::variant<node::JobStatus, node::ProgressReport, node::CheckpointReport,
                           node::FailureReport, node::LineResult, Error>;

/// With the time at which it came.
struct Arrived {
  Event event;
  Time at{};
};

/// Thread: one caller.
class Client {
 public:
  /// Connects and proves who we are. kPeerLost, kTimedOut or kRefused naming the address.
  static Result<std::unique_ptr<Client>> connect(const node::Identity& identity,
                                                 const std::string& host, std::uint16_t port);
  ~Client();

  void submit(const std::string& job_json, const std::string& run_folder);
  /// Asks what the line between two nodes can do; the answer is one node::LineResult.
  void test_line(const node::TestLine& test);
  /// Asks for a clean stop with a checkpoint.
  void cancel();
  /// The next event, or nothing within `wait`.
  std::optional<Arrived> next(Duration wait);

 private:
  explicit Client(node::Identity identity);
  void talk(std::unique_ptr<link::secure::SecureLink> link);
  void receive(const link::Message& message);
  Status on_identity(node::Kind kind, const link::Message& message);
  void push(Event event);

  node::Identity identity_;
  link::Loop loop_;
  node::Sessions sessions_;
  node::Sessions::Id session_ = 0;
  std::unique_ptr<node::Renewal> renewal_;
  std::unique_ptr<link::Channel> channel_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Arrived> events_;
};

}  // namespace reef::app
