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

namespace reef::app {

/// What the scheduler says of the job; an Error of its own means the connection is gone.
using Event = std::variant<node::JobStatus, node::ProgressReport, node::CheckpointReport,
                           node::FailureReport, node::LineResult, Error>;

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
  std::optional<Event> next(Duration wait);

 private:
  Client() = default;
  void receive(const link::Message& message);
  void push(Event event);

  link::Loop loop_;
  std::unique_ptr<link::Channel> channel_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Event> events_;
};

}  // namespace reef::app
