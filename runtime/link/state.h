#pragma once
// What tcp, inproc and sim links have in common, inside runtime/link only: the queue of sends, the
// deadlines, and the promise that every Done and on_closed runs exactly once.

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/link/link.h"

namespace reef::link {

/// The state of one end. Shared between its handle and callbacks that are on their way.
/// Thread: send, close and the constructor from any; everything else on the executor ("FromLoop" is
/// implied). A callback may destroy the handle: methods keep `self` alive and look at failed()
/// again afterwards.
class LinkState : public std::enable_shared_from_this<LinkState> {
 public:
  LinkState(Executor& executor, std::string peer_name)
      : executor_(executor), peer_name_(std::move(peer_name)) {}
  virtual ~LinkState();

  void send(Bytes frame, Deadline deadline, Done done);
  /// What is sent after it completes with kClosed, though the executor has yet to see the close.
  void close();
  void start(FrameHandler on_frame, ClosedHandler on_closed);
  void set_reading(bool reading);
  virtual void set_frame_limit(std::size_t) {}
  virtual std::size_t max_frame() const { return kMaxFrame; }
  virtual TransportStats transport_stats() const { return {}; }
  /// The one way in which a link ends: releases the transport, completes what is queued, tells.
  void fail(Error why);
  /// The handle is going away: as fail(kClosed), but tells nobody.
  void detach();

  bool failed() const { return error_.has_value(); }
  std::size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  const std::string& peer_name() const { return peer_name_; }
  Executor& executor() { return executor_; }

 protected:
  struct Outgoing {
    Bytes frame;
    Done done;
    std::size_t size = 0;  ///< of the frame, which may have been moved on
    TimerId timer = 0;
  };

  /// Moves frames of queue_ towards the peer; completes them with complete_front().
  virtual void flush() = 0;
  /// Delivery has become possible: give what has arrived to deliver().
  virtual void resume() = 0;
  /// Gives the transport back; error_ says why.
  virtual void release() = 0;

  bool delivering() const { return started_ && reading_ && !failed(); }
  void deliver(Bytes frame);
  void complete_front();
  /// Puts what was sent until now into queue_ and flushes. It comes by itself as a task; who works
  /// longer than one task looks here in between.
  void take_posted();

  Executor& executor_;
  std::deque<Outgoing> queue_;
  std::optional<Error> error_;

 private:
  struct Posted {
    Bytes frame;
    Deadline deadline;
    Done done;
  };
  void enqueue(Posted posted);
  void tell_closed();
  Error closed() const { return {Code::kClosed, peer_name_, "the link is closed"}; }

  std::string peer_name_;
  std::atomic<std::size_t> queued_bytes_{0};
  std::mutex mutex_;  ///< guards the next two
  std::vector<Posted> posted_;
  bool closing_ = false;

  std::shared_ptr<FrameHandler> on_frame_;
  ClosedHandler on_closed_;
  bool started_ = false;
  bool reading_ = true;
  bool detached_ = false;
};

/// For links without a kernel in between: what has arrived waits here until it may be delivered.
class QueuedState : public LinkState {
 public:
  using LinkState::LinkState;
  void arrived(Bytes frame);
  /// Nothing more will come; told once everything before has been delivered.
  void ended() { ended({Code::kPeerLost, peer_name(), "the peer ended the connection"}); }
  void ended(Error why);

 protected:
  /// The reader has taken a frame of this size.
  virtual void taken(std::size_t size) = 0;
  void resume() override;

  std::deque<Bytes> incoming_;
  std::optional<Error> ending_;  ///< nothing more comes, and why
};

/// The Link that owners hold.
std::unique_ptr<Link> make_handle(std::shared_ptr<LinkState> state);

}  // namespace reef::link
