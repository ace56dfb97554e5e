#include "runtime/link/state.h"

namespace reef::link {

LinkState::~LinkState() {
  // Only what was posted to an executor that has stopped since can still be here.
  for (Posted& posted : posted_) {
    if (posted.done) posted.done(closed());
  }
}

void LinkState::send(Bytes frame, Deadline deadline, Done done) {
  bool first = false, late;
  {
    const std::lock_guard lock(mutex_);
    late = closing_;
    if (!late) {
      queued_bytes_.fetch_add(frame.size(), std::memory_order_relaxed);
      first = posted_.empty();
      posted_.push_back({std::move(frame), deadline, std::move(done)});
    }
  }
  if (late) {
    if (!done) return;
    return executor_.post([self = shared_from_this(), done = std::move(done)] {
      done(self->error_.value_or(self->closed()));
    });
  }
  // One task takes everything that was sent until it runs, so small frames leave together.
  if (first) executor_.post([self = shared_from_this()] { self->take_posted(); });
}

void LinkState::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  executor_.post([self = shared_from_this()] { self->fail(self->closed()); });
}

void LinkState::take_posted() {
  std::vector<Posted> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (Posted& one : posted) enqueue(std::move(one));
  if (!failed()) flush();
}

void LinkState::enqueue(Posted posted) {
  const std::size_t size = posted.frame.size();
  std::optional<Error> refusal = error_;
  if (!refusal && (size == 0 || size > max_frame())) {
    refusal = Error{Code::kInternal, peer_name_, "a frame of " + std::to_string(size) + " bytes"};
  }
  if (refusal) {
    queued_bytes_.fetch_sub(size, std::memory_order_relaxed);
    if (posted.done) posted.done(*refusal);
    return;
  }
  Outgoing out{std::move(posted.frame), std::move(posted.done), size, 0};
  if (posted.deadline != kNoDeadline) {
    out.timer = executor_.at(posted.deadline, [weak = weak_from_this()] {
      // The timer is cancelled when its frame leaves, so the frame is still here.
      if (auto self = weak.lock()) {
        self->fail({Code::kTimedOut, self->peer_name(), "a frame has not left by its deadline"});
      }
    });
  }
  queue_.push_back(std::move(out));
}

void LinkState::start(FrameHandler on_frame, ClosedHandler on_closed) {
  if (detached_ || started_) return;
  started_ = true;
  on_frame_ = std::make_shared<FrameHandler>(std::move(on_frame));
  on_closed_ = std::move(on_closed);
  if (failed()) return tell_closed();
  if (delivering()) resume();
}

void LinkState::set_reading(bool reading) {
  if (reading_ == reading) return;
  reading_ = reading;
  if (!reading) return;
  // Later, because the caller may be inside a handler.
  executor_.post([self = shared_from_this()] {
    if (self->delivering()) self->resume();
  });
}

void LinkState::deliver(Bytes frame) {
  const auto handler = on_frame_;  // it may end the link, and with it on_frame_
  (*handler)(std::move(frame));
}

void LinkState::complete_front() {
  Outgoing out = std::move(queue_.front());
  queue_.pop_front();
  if (out.timer != 0) executor_.cancel(out.timer);
  queued_bytes_.fetch_sub(out.size, std::memory_order_relaxed);
  if (out.done) out.done(Status());
}

void LinkState::fail(Error why) {
  if (failed()) return;
  const auto self = shared_from_this();
  error_ = std::move(why);
  release();
  const std::deque<Outgoing> queue = std::move(queue_);
  queue_.clear();
  for (const Outgoing& out : queue) {
    if (out.timer != 0) executor_.cancel(out.timer);
    queued_bytes_.fetch_sub(out.size, std::memory_order_relaxed);
    if (out.done) out.done(*error_);
  }
  tell_closed();
}

void LinkState::tell_closed() {
  if (!started_ || detached_) return;
  on_frame_.reset();
  const ClosedHandler handler = std::move(on_closed_);
  on_closed_ = nullptr;
  if (handler) handler(*error_);
}

void LinkState::detach() {
  detached_ = true;
  on_frame_.reset();
  on_closed_ = nullptr;
  take_posted();
  fail(closed());
}

void QueuedState::arrived(Bytes frame) {
  if (failed() || ending_) return;
  incoming_.push_back(std::move(frame));
  if (delivering()) resume();
}

void QueuedState::ended(Error why) {
  ending_ = std::move(why);
  if (delivering()) resume();
}

void QueuedState::resume() {
  const auto self = shared_from_this();
  while (delivering() && !incoming_.empty()) {
    Bytes frame = std::move(incoming_.front());
    incoming_.pop_front();
    taken(frame.size());
    deliver(std::move(frame));
  }
  if (delivering() && ending_ && incoming_.empty()) fail(*ending_);
}

namespace {

class Handle final : public Link {
 public:
  explicit Handle(std::shared_ptr<LinkState> state) : state_(std::move(state)) {}
  ~Handle() override {
    state_->executor().call([state = state_] { state->detach(); });
  }

  void start(FrameHandler on_frame, ClosedHandler on_closed) override {
    state_->executor().post([state = state_, on_frame = std::move(on_frame),
                             on_closed = std::move(on_closed)]() mutable {
      state->start(std::move(on_frame), std::move(on_closed));
    });
  }
  void send(Bytes frame, Deadline deadline, Done done) override {
    state_->send(std::move(frame), deadline, std::move(done));
  }
  void close() override { state_->close(); }
  void set_reading(bool reading) override { state_->set_reading(reading); }
  void set_frame_limit(std::size_t bytes) override { state_->set_frame_limit(bytes); }
  TransportStats transport_stats() const override { return state_->transport_stats(); }
  std::size_t max_frame() const override { return state_->max_frame(); }
  std::size_t queued_bytes() const override { return state_->queued_bytes(); }
  std::string peer_name() const override { return state_->peer_name(); }
  Executor& executor() override { return state_->executor(); }

 private:
  std::shared_ptr<LinkState> state_;
};

}  // namespace

std::unique_ptr<Link> make_handle(std::shared_ptr<LinkState> state) {
  return std::make_unique<Handle>(std::move(state));
}

}  // namespace reef::link
