#include "runtime/link/relay/end.h"

#include <algorithm>

#include "runtime/link/state.h"

namespace reef::link::relay {
namespace {

class End final : public QueuedState {
 public:
  End(std::unique_ptr<RecordLink> leg, Names names, Joined done)
      : QueuedState(leg->executor(), "relay " + names.relay),
        leg_(std::move(leg)),
        max_frame_(leg_->max_frame()),
        limit_(max_frame_),
        far_(std::move(names.far)),
        done_(std::move(done)) {}
  ~End() override {
    if (done_) done_(Error{Code::kClosed, peer_name(), "the loop has stopped"});
  }

  void begin(const Join& join, Deadline deadline) {
    // Until it is joined the timer holds this, afterwards its handle.
    timer_ = executor_.at(deadline, [self = self()] {
      self->fail({Code::kTimedOut, self->peer_name(), self->far_ + " did not come to it in time"});
    });
    leg_->start_records(
        [weak = std::weak_ptr(self())](const RecordHeader& header, BytesView body) {
          if (const auto self = weak.lock()) self->on_record(static_cast<Kind>(header.flags), body);
        },
        [weak = std::weak_ptr(self())](const Error& why) {
          if (const auto self = weak.lock()) self->leg_ended(why);
        });
    tell(Kind::kJoin, encode(join), nullptr);
  }

  std::size_t max_frame() const override { return max_frame_; }
  void set_frame_limit(std::size_t bytes) override { limit_ = std::min(bytes, max_frame_); }
  TransportStats transport_stats() const override {
    return leg_ ? leg_->transport_stats() : TransportStats();
  }

 private:
  std::shared_ptr<End> self() { return std::static_pointer_cast<End>(shared_from_this()); }

  void tell(Kind kind, BytesView body, Done done) {
    leg_->send_record({static_cast<std::uint8_t>(kind), 0, 0}, {&body, 1}, kNoDeadline,
                      std::move(done));
  }

  void on_record(Kind kind, BytesView body) {
    const auto keep = self();
    if (failed() || ending_) return;
    const Status taken = take(kind, body);
    if (!taken.ok()) fail({taken.error().code, peer_name(), taken.error().what});
  }

  Status take(Kind kind, BytesView body) {
    if (kind == Kind::kEnded) {
      ATOLL_ASSIGN(const Why why, read_why(body));
      if (done_) {
        fail(error_of(why));
      } else {
        ended(error_of(why));
      }
      return {};
    }
    if (kind == Kind::kJoined && done_) return joined(), Status();
    if (kind == Kind::kData && !done_) return data(body);
    if (kind == Kind::kTaken && !done_) {
      ATOLL_ASSIGN(const std::size_t cost, read_taken(body, in_flight_));
      in_flight_ -= cost;
      flush();
      return {};
    }
    return Error{Code::kProto, "", "a record out of place"};
  }

  void joined() {
    executor_.cancel(timer_);
    std::exchange(done_, nullptr)(make_handle(self()));
  }

  Status data(BytesView body) {
    if (body.size() > limit_)
      return Error{
          Code::kProto, "",
          "a frame of " + std::to_string(body.size()) + " bytes; limit " + std::to_string(limit_)};
    held_ += cost_of(body.size());
    if (held_ > kWindow) return Error{Code::kProto, "", "more than there was credit for"};
    arrived(to_bytes(body));
    return {};
  }

  void taken(std::size_t size) override {
    untold_ += cost_of(size);
    if (untold_ < kTellTaken || ending_) return;
    const std::size_t cost = std::exchange(untold_, 0);
    tell(Kind::kTaken, encode_taken(cost),
         [weak = std::weak_ptr(self()), cost](const Status& status) {
           if (const auto self = weak.lock(); self && status.ok()) self->held_ -= cost;
         });
  }

  void flush() override {
    if (ending_) return fail(*ending_);
    while (moved_ < queue_.size() && in_flight_ + cost_of(queue_[moved_].size) <= kWindow) {
      Outgoing& out = queue_[moved_++];
      in_flight_ += cost_of(out.size);
      tell(Kind::kData, out.frame, [weak = std::weak_ptr(self())](const Status& status) {
        const auto self = weak.lock();
        if (self && status.ok()) self->left();
      });
      out.frame = {};
    }
  }

  void left() {
    if (failed()) return;
    --moved_;
    complete_front();
  }

  Error error_of(Why why) const {
    const auto error = [this](Code code, const std::string& what) {
      return Error{code, peer_name(), far_ + what};
    };
    switch (why) {
      case Why::kFarewell:
        return error(Code::kPeerLost, " ended the connection");
      case Why::kLost:
        return error(Code::kPeerLost, " was lost at the other side of it");
      case Why::kAbsent:
        return error(Code::kTimedOut, " did not come to it in time");
      case Why::kRefused:
        return error(Code::kRefused, " and this node are not joined there; its log says why");
      case Why::kBroken:
        return error(Code::kPeerLost, " broke the protocol and was dropped there");
      case Why::kDropped:
        return error(Code::kPeerLost, " was revoked and dropped there");
    }
    return error(Code::kPeerLost, " is gone");
  }

  void leg_ended(const Error& why) {
    if (failed() || ending_) return;  // it has said why already
    const bool farewell = why.code == Code::kClosed;
    fail({why.code == Code::kProto ? Code::kProto : Code::kPeerLost, peer_name(),
          "the relay itself was lost: " + (farewell ? "it closed the connection" : why.what)});
  }

  void release() override {
    executor_.cancel(timer_);
    incoming_.clear();
    leg_.reset();
    if (done_) std::exchange(done_, nullptr)(*error_);
  }

  std::unique_ptr<RecordLink> leg_;
  const std::size_t max_frame_;
  std::size_t limit_;
  const std::string far_;
  Joined done_;  ///< until it is joined
  TimerId timer_ = 0;
  std::size_t moved_ = 0;      ///< frames of queue_ that the leg has
  std::size_t in_flight_ = 0;  ///< cost of what the other end has not taken
  std::size_t held_ = 0;       ///< cost of what arrived, until its credit has left
  std::size_t untold_ = 0;     ///< of them, taken by our reader
};

}  // namespace

void join(std::unique_ptr<RecordLink> leg, const Join& join, Names names, Deadline deadline,
          Joined done) {
  Executor& executor = leg->executor();
  const auto end = std::make_shared<End>(std::move(leg), std::move(names), std::move(done));
  executor.post([end, join, deadline] { end->begin(join, deadline); });
}

}  // namespace reef::link::relay
