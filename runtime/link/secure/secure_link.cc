#include "runtime/link/secure/secure_link.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/link/secure/handshake.h"
#include "runtime/link/secure/record.h"

namespace reef::link::secure {
namespace {

using security::Credential;

/// One end, through its three phases: the handshake, open, ended.
/// Held by its timer while the handshake runs, by its handle afterwards; the inner link's callbacks
/// hold it weakly, since it owns that link.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(std::unique_ptr<Link> inner, Local local, bool initiator, ExpectedPeer expected,
       const StreamId& stream, Established established)
      : inner_(std::move(inner)),
        executor_(inner_->executor()),
        max_frame_(std::min<std::size_t>(kFrameLimit, inner_->max_frame()) - kRecordOverhead),
        peer_name_(inner_->peer_name()),
        local_(std::move(local)),
        initiator_(initiator),
        handshake_(std::in_place, local_, initiator, expected, stream, peer_name_),
        established_(std::move(established)) {}
  ~Core() {
    if (established_) established_(Error{Code::kClosed, peer_name_, "the loop has stopped"});
  }

  // The handshake.
  void begin(Deadline deadline);

  // Open; from any thread where it says so.
  void start(RecordHandler on_record, ClosedHandler on_closed);
  void post_frame(Bytes frame, Deadline deadline, Done done);
  void take_posted();
  void send_record(const RecordHeader& header, std::span<const BytesView> pieces, Deadline deadline,
                   Done done);
  void close();
  void detach();
  void set_reading(bool reading);
  void keep_alive(Duration ping_every, Duration lost_after);

  Executor& executor() { return executor_; }
  const std::string& peer_name() const { return peer_name_; }
  const Credential& peer() const { return peer_; }
  const StreamId& stream() const { return stream_; }
  const security::Digest& handshake_hash() const { return records_.handshake_hash(); }
  std::size_t max_frame() const { return max_frame_; }
  std::size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  TransportStats transport_stats() const {
    return inner_ ? inner_->transport_stats() : TransportStats();
  }
  void count_queued(std::size_t bytes) { queued_bytes_ += bytes; }

 private:
  enum class Phase { kHandshake, kConfirm, kOpen, kClosing, kEnded };

  void on_frame(Bytes frame);
  Status handshake_frame(BytesView frame);
  void refuse(const Error& why);
  void enter();
  void opened();
  void handshake_failed(Error why);
  void count(const Error& why);

  void on_record(Bytes& frame);
  RecordType body_type() const {
    return stream_.stream == 0 ? RecordType::kControl : RecordType::kData;
  }
  void seal_and_send(RecordType type, const RecordHeader& header, std::span<const BytesView> pieces,
                     Deadline deadline, Done done);
  void rekey_if_due();
  void tick();
  Error closed() const { return {Code::kClosed, peer_name_, "the link is closed"}; }
  void fail(Error why);
  void end(const Error& why);

  std::unique_ptr<Link> inner_;
  Executor& executor_;
  const std::size_t max_frame_;
  std::string peer_name_;
  Local local_;
  bool initiator_;
  std::optional<Handshake> handshake_;  ///< gone once there are records
  Established established_;

  Phase phase_ = Phase::kHandshake;
  TimerId handshake_timer_ = 0;
  StreamId stream_;  ///< this and the next: once the handshake is complete
  Credential peer_;
  RecordCipher records_;

  struct Posted {
    Bytes frame;
    Deadline deadline;
    Done done;
  };
  std::mutex mutex_;  ///< guards posted_
  std::vector<Posted> posted_;

  std::optional<Error> error_;
  std::shared_ptr<RecordHandler> on_record_;
  ClosedHandler on_closed_;
  bool started_ = false;
  bool detached_ = false;
  bool reading_ = false;
  std::map<std::uint64_t, std::pair<Done, std::size_t>> pending_;  ///< sends not Done, in order
  std::uint64_t next_pending_ = 0;
  std::uint64_t next_message_ = 1;
  std::atomic<std::size_t> queued_bytes_{0};
  Time last_rekey_{};
  Time last_sent_{};
  Time last_heard_{};
  TimerId tick_timer_ = 0;
  TimerId close_timer_ = 0;
};

class Handle final : public SecureLink {
 public:
  explicit Handle(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  ~Handle() override {
    core_->executor().call([core = core_] { core->detach(); });
  }

  void start(FrameHandler on_frame, ClosedHandler on_closed) override {
    start_records([on_frame = std::move(on_frame)](const RecordHeader&,
                                                   BytesView body) { on_frame(to_bytes(body)); },
                  std::move(on_closed));
  }
  void start_records(RecordHandler on_record, ClosedHandler on_closed) override {
    core_->executor().post([core = core_, on_record = std::move(on_record),
                            on_closed = std::move(on_closed)]() mutable {
      core->start(std::move(on_record), std::move(on_closed));
    });
  }
  void send(Bytes frame, Deadline deadline, Done done) override {
    core_->post_frame(std::move(frame), deadline, std::move(done));
  }
  void send_record(const RecordHeader& header, std::span<const BytesView> pieces, Deadline deadline,
                   Done done) override {
    core_->send_record(header, pieces, deadline, std::move(done));
  }
  void close() override {
    core_->executor().post([core = core_] { core->close(); });
  }
  void set_reading(bool reading) override { core_->set_reading(reading); }
  std::size_t record_overhead() const override { return kRecordOverhead + 2; }
  std::size_t max_frame() const override { return core_->max_frame(); }
  std::size_t queued_bytes() const override { return core_->queued_bytes(); }
  TransportStats transport_stats() const override { return core_->transport_stats(); }
  std::string peer_name() const override {
    return core_->peer().name + " (" + core_->peer_name() + ")";
  }
  Executor& executor() override { return core_->executor(); }
  const Credential& peer() const override { return core_->peer(); }
  const StreamId& stream() const override { return core_->stream(); }
  void keep_alive(Duration ping_every, Duration lost_after) override {
    core_->executor().post(
        [core = core_, ping_every, lost_after] { core->keep_alive(ping_every, lost_after); });
  }
  const security::Digest& handshake_hash() const override { return core_->handshake_hash(); }

 private:
  std::shared_ptr<Core> core_;
};

void Core::begin(Deadline deadline) {
  const Time last = std::min(deadline, executor_.clock().now() + kHandshakeTime);
  handshake_timer_ = executor_.at(last, [self = shared_from_this()] {
    self->handshake_failed({Code::kTimedOut, self->peer_name_, "no handshake by the deadline"});
  });
  inner_->set_frame_limit(kHandshakeFrameLimit);
  inner_->start(
      [weak = weak_from_this()](Bytes frame) {
        if (const auto self = weak.lock()) self->on_frame(std::move(frame));
      },
      [weak = weak_from_this()](Error why) {
        const auto self = weak.lock();
        if (!self) return;
        if (self->established_) {
          self->handshake_failed(std::move(why));
        } else {
          self->fail(std::move(why));
        }
      });
  if (!initiator_) return;
  auto first = handshake_->open();
  if (!first.ok()) return handshake_failed(first.error());
  inner_->send(std::move(*first), kNoDeadline, nullptr);
}

void Core::on_frame(Bytes frame) {
  const auto self = shared_from_this();
  switch (phase_) {
    case Phase::kHandshake: {
      const Status status = handshake_frame(frame);
      if (!status.ok()) handshake_failed(status.error());
      return;
    }
    case Phase::kConfirm:
    case Phase::kOpen:
      return on_record(frame);
    case Phase::kClosing:
    case Phase::kEnded:
      return;
  }
}

Status Core::handshake_frame(BytesView frame) {
  ATOLL_ASSIGN(Bytes reply, handshake_->read(frame));
  if (!reply.empty()) inner_->send(std::move(reply), kNoDeadline, nullptr);
  if (!handshake_->complete()) return {};
  const Status verdict = handshake_->verdict();
  enter();
  if (initiator_) {
    phase_ = Phase::kConfirm;
  } else if (verdict.ok()) {
    seal_and_send(RecordType::kPing, {}, {}, kNoDeadline, nullptr);
    opened();
  } else {
    refuse(verdict.error());
  }
  return {};
}

void Core::refuse(const Error& why) {
  phase_ = Phase::kClosing;
  const RecordHeader header{kRefusedByPeer, 0, 0};
  seal_and_send(RecordType::kClose, header, {}, kNoDeadline,
                [weak = weak_from_this(), why](const Status&) {
                  if (const auto self = weak.lock()) self->handshake_failed(why);
                });
}

/// From handshake to records.
void Core::enter() {
  stream_ = handshake_->stream();
  peer_ = handshake_->peer();
  records_ = {handshake_->split(), stream_.stream};
  handshake_.reset();
  last_rekey_ = last_sent_ = last_heard_ = executor_.clock().now();
}

void Core::opened() {
  phase_ = Phase::kOpen;
  executor_.cancel(handshake_timer_);
  inner_->set_frame_limit(kFrameLimit);
  inner_->set_reading(false);  // until start()
  if (local_.counters) ++local_.counters->established;
  keep_alive(local_.ping_every, local_.lost_after);
  const Established established = std::exchange(established_, nullptr);
  std::unique_ptr<SecureLink> handle = std::make_unique<Handle>(shared_from_this());
  established(std::move(handle));
}

void Core::handshake_failed(Error why) {
  if (!established_) return;
  const auto self = shared_from_this();
  executor_.cancel(handshake_timer_);
  phase_ = Phase::kEnded;
  handshake_.reset();
  inner_.reset();
  count(why);
  const Established established = std::exchange(established_, nullptr);
  established(std::move(why));
}

void Core::count(const Error& why) {
  if (!local_.counters) return;
  Counters& counters = *local_.counters;
  switch (why.code) {
    case Code::kProto:
      ++counters.garbage;
      break;
    case Code::kRefused:
      ++counters.refused;
      break;
    case Code::kTimedOut:
      ++counters.timed_out;
      break;
    default:
      ++counters.lost;
  }
}

void Core::start(RecordHandler on_record, ClosedHandler on_closed) {
  if (started_ || detached_) return;
  started_ = true;
  on_record_ = std::make_shared<RecordHandler>(std::move(on_record));
  on_closed_ = std::move(on_closed);
  if (error_) {
    const ClosedHandler handler = std::exchange(on_closed_, nullptr);
    on_record_.reset();
    if (handler) handler(*error_);
    return;
  }
  set_reading(true);
}

void Core::set_reading(bool reading) {
  if (!started_ || !inner_ || phase_ != Phase::kOpen) return;
  reading_ = reading;
  last_heard_ = executor_.clock().now();
  inner_->set_reading(reading);
}

void Core::post_frame(Bytes frame, Deadline deadline, Done done) {
  count_queued(frame.size());
  bool first;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back({std::move(frame), deadline, std::move(done)});
  }
  if (first) executor_.post([self = shared_from_this()] { self->take_posted(); });
}

void Core::take_posted() {
  std::vector<Posted> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (Posted& one : posted) {
    count_queued(std::size_t{0} - one.frame.size());  // send_record counts it again
    if (phase_ == Phase::kOpen) {
      const BytesView piece(one.frame);
      send_record({0, next_message_++, 0}, {&piece, 1}, one.deadline, std::move(one.done));
    } else if (one.done) {
      one.done(error_ ? *error_ : closed());
    }
  }
}

void Core::send_record(const RecordHeader& header, std::span<const BytesView> pieces,
                       Deadline deadline, Done done) {
  std::size_t size = 0;
  for (BytesView piece : pieces) size += piece.size();
  std::optional<Error> refusal = error_;
  if (!refusal && phase_ != Phase::kOpen) {
    refusal = Error{Code::kClosed, peer_name_, "the link is closed"};
  }
  if (!refusal && (size == 0 || size > max_frame())) {
    refusal = Error{Code::kInternal, peer_name_, "a frame of " + std::to_string(size) + " bytes"};
  }
  if (refusal) {
    if (done) executor_.post([done = std::move(done), why = *refusal] { done(why); });
    return;
  }
  count_queued(size);
  const std::uint64_t id = next_pending_++;
  pending_.emplace(id, std::pair(std::move(done), size));
  rekey_if_due();
  seal_and_send(body_type(), header, pieces, deadline,
                [weak = weak_from_this(), id](const Status& status) {
                  const auto self = weak.lock();
                  if (!self) return;
                  auto entry = self->pending_.extract(id);
                  if (entry.empty()) return;
                  self->count_queued(std::size_t{0} - entry.mapped().second);
                  if (entry.mapped().first) entry.mapped().first(status);
                });
}

void Core::seal_and_send(RecordType type, const RecordHeader& header,
                         std::span<const BytesView> pieces, Deadline deadline, Done done) {
  Bytes frame = records_.seal(type, header, pieces);
  last_sent_ = executor_.clock().now();
  inner_->send(std::move(frame), deadline, std::move(done));
}

void Core::rekey_if_due() {
  const Time now = executor_.clock().now();
  if (records_.records_since_rekey() < local_.rekey_records &&
      now - last_rekey_ < local_.rekey_every)
    return;
  seal_and_send(RecordType::kRekey, {}, {}, kNoDeadline, nullptr);
  records_.rekey_send();
  last_rekey_ = now;
}

void Core::on_record(Bytes& frame) {
  const auto broken = [this](std::string what) {
    fail({Code::kProto, peer_name_, std::move(what)});
  };
  const auto record = records_.open(frame);
  if (!record.ok()) return broken(record.error().what);
  last_heard_ = executor_.clock().now();
  const auto& [type, header, body] = *record;

  switch (type) {
    case RecordType::kControl:
    case RecordType::kData: {
      if (phase_ != Phase::kOpen || type != body_type() || body.empty()) {
        return broken("a record out of place");
      }
      const auto handler = on_record_;
      if (handler) (*handler)(header, body);
      return;
    }
    case RecordType::kRekey:
      if (phase_ != Phase::kOpen || !body.empty()) return broken("a rekey out of place");
      return records_.rekey_receive();
    case RecordType::kPing:
      if (!body.empty()) return broken("a ping with a body");
      if (phase_ == Phase::kConfirm) opened();
      return;
    case RecordType::kClose:
      if (header.flags == kRefusedByPeer) {
        return fail(
            {Code::kRefused, peer_name_, "the peer refused our credential; its log says why"});
      }
      return fail({Code::kClosed, peer_name_, "the peer closed the link"});
  }
  broken("a record of unknown type");
}

void Core::keep_alive(Duration ping_every, Duration lost_after) {
  local_.ping_every = ping_every;
  local_.lost_after = lost_after;
  executor_.cancel(tick_timer_);
  if (phase_ == Phase::kOpen && ping_every > Duration() && lost_after > Duration()) tick();
}

void Core::tick() {
  tick_timer_ =
      executor_.at(executor_.clock().now() + local_.ping_every, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || self->phase_ != Phase::kOpen) return;
        const Time now = self->executor_.clock().now();
        if (self->reading_ && now - self->last_heard_ >= self->local_.lost_after) {
          return self->fail({Code::kTimedOut, self->peer_name_, "the peer is silent"});
        }
        if (now - self->last_sent_ >= self->local_.ping_every) {
          self->seal_and_send(RecordType::kPing, {}, {}, kNoDeadline, nullptr);
        }
        self->tick();
      });
}

void Core::close() {
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kClosing;
  inner_->set_reading(true);  // so that the peer's end is noticed
  // The timer keeps this alive until the farewell has left; a loop that stops drops it.
  close_timer_ = executor_.at(executor_.clock().now() + kCloseTime,
                              [self = shared_from_this()] { self->fail(self->closed()); });
  seal_and_send(RecordType::kClose, {}, {}, kNoDeadline, [weak = weak_from_this()](const Status&) {
    if (const auto self = weak.lock()) self->fail(self->closed());
  });
}

void Core::fail(Error why) {
  if (established_) return handshake_failed(std::move(why));
  if (error_) return;
  const auto self = shared_from_this();
  if (phase_ == Phase::kClosing) why = closed();
  end(why);
  if (!started_ || detached_) return;
  on_record_.reset();
  const ClosedHandler handler = std::exchange(on_closed_, nullptr);
  if (handler) handler(*error_);
}

/// The one exit: keys wiped, the line given back, every Done run.
void Core::end(const Error& why) {
  const auto self = shared_from_this();
  error_ = why;
  phase_ = Phase::kEnded;
  executor_.cancel(tick_timer_);
  executor_.cancel(close_timer_);
  records_.wipe_keys();
  const auto pending = std::exchange(pending_, {});
  for (const auto& [id, entry] : pending) {
    count_queued(std::size_t{0} - entry.second);
    if (entry.first) entry.first(why);
  }
  inner_.reset();
}

void Core::detach() {
  detached_ = true;
  on_record_.reset();
  on_closed_ = nullptr;
  take_posted();
  if (error_) return;
  close();  // the farewell goes on alone and keeps this alive
  const Error why{Code::kClosed, peer_name_, "the link is closed"};
  const auto pending = std::exchange(pending_, {});
  for (const auto& [id, entry] : pending) {
    count_queued(std::size_t{0} - entry.second);
    if (entry.first) entry.first(why);
  }
}

void begin(std::unique_ptr<Link> link, Local local, bool initiator, ExpectedPeer expected,
           const StreamId& stream, Deadline deadline, Established done) {
  Executor& executor = link->executor();
  const auto core = std::make_shared<Core>(std::move(link), std::move(local), initiator, expected,
                                           stream, std::move(done));
  executor.post([core, deadline] { core->begin(deadline); });
}

}  // namespace

std::uint64_t system_unix_now() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

void connect(std::unique_ptr<Link> link, Local local, ExpectedPeer expected, StreamId stream,
             Deadline deadline, Established done) {
  begin(std::move(link), std::move(local), true, expected, stream, deadline, std::move(done));
}

void accept(std::unique_ptr<Link> link, Local local, Deadline deadline, Established done) {
  begin(std::move(link), std::move(local), false, {}, {}, deadline, std::move(done));
}

}  // namespace reef::link::secure
