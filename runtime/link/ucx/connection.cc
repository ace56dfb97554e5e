#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "runtime/link/state.h"
#include "runtime/link/ucx/endpoint.h"
#include "runtime/link/ucx/wire.h"

namespace reef::link::ucx {
namespace {

constexpr std::size_t kBatch = 16;               // frames per send
constexpr std::size_t kBatchBytes = 256 * 1024;  // what an urgent frame waits for
constexpr std::size_t kGrantFrom = kWindow / 4;
constexpr std::chrono::seconds kLinger{1};

/// One end, through its phases: joining, held by its timer; open, held by its handle; lingering,
/// until what was sent and the end have reached the peer, held by a timer again.
class Connection final : public QueuedState, private StreamReader::Sink {
 public:
  Connection(Loop& loop, std::shared_ptr<Endpoint> endpoint, std::unique_ptr<Link> life_line,
             Joined done)
      : QueuedState(loop, "ucx over " + life_line->peer_name()),
        loop_(loop),
        endpoint_(std::move(endpoint)),
        life_line_(std::move(life_line)),
        done_(std::move(done)) {}
  ~Connection() override {
    endpoint_->shut();
    if (done_) done_(Error{Code::kClosed, peer_name(), "the loop has stopped"});
  }

  void begin(Bytes address, Deadline deadline);
  void set_frame_limit(std::size_t bytes) override { reader_.set_limit(bytes); }

 private:
  enum class Phase { kJoining, kOpen, kLingering, kOver };

  /// What UCX sends from while a send is on its way.
  struct Batch {
    Bytes words;
    std::array<std::array<std::byte, kPrefix>, kBatch> prefixes;
    std::size_t frames = 0;          ///< of the front of queue_
    std::vector<Bytes> left_behind;  ///< of a queue_ that is no more
  };

  void greeted(const Bytes& frame);
  void life_line_ended(const Error& why);
  void opened();
  void moved();
  void read();
  void flush() override;
  void settle();
  bool send_batch();
  void taken(std::size_t size) override;
  void grant(std::size_t bytes);
  void release() override;
  void linger();
  void over();
  void lost(std::string what) { fail({Code::kPeerLost, peer_name(), std::move(what)}); }

  // What the stream brings.
  Status announced(std::size_t size) override;
  void frame(Bytes bytes) override { read_.push_back(std::move(bytes)); }
  Status granted(std::uint32_t value) override;
  void ended() override { end_read_ = true; }

  Loop& loop_;
  std::shared_ptr<Endpoint> endpoint_;
  std::unique_ptr<Link> life_line_;
  Joined done_;
  Phase phase_ = Phase::kJoining;
  TimerId timer_ = 0;

  Batch batch_;
  std::size_t credit_ = 0;    ///< what we may send
  std::size_t to_grant_ = 0;  ///< a grant that has not been sent
  bool end_sent_ = false;

  StreamReader reader_;
  std::vector<Bytes> read_;  ///< frames of the piece that was read last
  std::size_t debt_ = 0;     ///< what has come in of what was granted
  std::size_t taken_ = 0;    ///< of it, what the reader has taken and we have not granted again
  bool end_read_ = false;
};

// --- joining -----------------------------------------------------------------------------------

void Connection::begin(Bytes address, Deadline deadline) {
  const auto weak = std::weak_ptr(std::static_pointer_cast<Connection>(shared_from_this()));
  timer_ = loop_.at(deadline, [self = weak.lock()] {
    self->fail({Code::kTimedOut, self->peer_name(), "UCX has not connected by the deadline"});
  });
  life_line_->set_frame_limit(kHelloLimit);
  life_line_->start(
      [weak](const Bytes& frame) {
        if (const auto self = weak.lock()) self->greeted(frame);
      },
      [weak](const Error& why) {
        if (const auto self = weak.lock()) self->life_line_ended(why);
      });
  life_line_->send(hello(address), kNoDeadline, nullptr);
  grant(kWindow);
}

void Connection::greeted(const Bytes& frame) {
  const auto self = shared_from_this();
  if (phase_ != Phase::kJoining || endpoint_->connected()) {
    return fail({Code::kProto, peer_name(), "a second hello"});
  }
  const auto address = read_hello(frame);
  if (!address.ok()) return fail({address.error().code, peer_name(), address.error().what});
  const auto weak = std::weak_ptr(std::static_pointer_cast<Connection>(self));
  const Status connected = endpoint_->connect(*address, [weak] {
    if (const auto it = weak.lock()) it->moved();
  });
  if (!connected.ok()) return lost(connected.error().what);
  flush();
}

void Connection::opened() {
  phase_ = Phase::kOpen;
  loop_.cancel(timer_);
  std::exchange(done_, nullptr)(make_handle(shared_from_this()));
}

/// What has reached us before the end still counts, as far as somebody reads it.
void Connection::life_line_ended(const Error& why) {
  const auto self = shared_from_this();
  if (phase_ == Phase::kLingering) return over();
  if (phase_ == Phase::kOver) return;
  endpoint_->pull();
  read();
  if (failed() || ending_) return;
  if (phase_ == Phase::kOpen && delivering()) {
    QueuedState::ended();
  } else {
    fail({why.code == Code::kClosed ? Code::kPeerLost : why.code, peer_name(), why.what});
  }
}

// --- both ways ---------------------------------------------------------------------------------

void Connection::moved() {
  const auto self = shared_from_this();
  if (phase_ == Phase::kLingering) return linger();
  if (phase_ == Phase::kOver) return;
  read();
  take_posted();  // with what those who have just heard of their Done want to send next
  if (!failed() && endpoint_->failure()) lost(endpoint_->failure()->text());
}

void Connection::read() {
  while (phase_ == Phase::kJoining || phase_ == Phase::kOpen) {
    const auto piece = endpoint_->receive();
    if (!piece) return;
    if (const Status status = reader_.take(*piece, *this); !status.ok()) {
      return fail({status.error().code, peer_name(), status.error().what});
    }
    if (phase_ == Phase::kJoining && credit_ > 0) opened();
    for (Bytes& frame : std::exchange(read_, {})) arrived(std::move(frame));
    if (end_read_ && !failed()) QueuedState::ended();
  }
}

Status Connection::announced(std::size_t size) {
  debt_ += cost_of(size);
  if (debt_ <= kWindow) return {};
  return Error{Code::kProto, "", "more than was granted"};
}

Status Connection::granted(std::uint32_t value) {
  if (value == 0 || credit_ + value > kWindow) {
    return Error{Code::kProto, "", "a grant of " + std::to_string(value) + " bytes"};
  }
  credit_ += value;
  return {};
}

void Connection::taken(std::size_t size) {
  taken_ += cost_of(size);
  if (taken_ < kGrantFrom) return;
  debt_ -= taken_;
  grant(std::exchange(taken_, 0));
  // What is being read may end the link, so not from in here.
  endpoint_->nudge();
}

void Connection::grant(std::size_t bytes) { to_grant_ += bytes; }

void Connection::flush() {
  const auto self = shared_from_this();
  while (!failed() && endpoint_->connected() && !endpoint_->sending()) {
    settle();
    if (failed() || endpoint_->sending() || !send_batch()) return;
  }
}

/// The batch has left. A Done may send, close or destroy.
void Connection::settle() {
  while (batch_.frames > 0 && !failed() && !endpoint_->sending()) {
    --batch_.frames;
    complete_front();
  }
}

bool Connection::send_batch() {
  std::array<BytesView, Endpoint::kMostPieces> pieces;
  std::size_t count = 0, bytes = 0;
  batch_.words.clear();
  if (to_grant_ > 0) {
    append_word(batch_.words, Word::kGrant, static_cast<std::uint32_t>(to_grant_));
    to_grant_ = 0;
    pieces[count++] = batch_.words;
  }
  while (batch_.frames < std::min(kBatch, queue_.size()) && bytes < kBatchBytes) {
    const Bytes& frame = queue_[batch_.frames].frame;
    if (cost_of(frame.size()) > credit_) break;
    credit_ -= cost_of(frame.size());
    bytes += frame.size();
    auto& prefix = batch_.prefixes[batch_.frames++];
    prefix = {static_cast<std::byte>(frame.size() >> 8), static_cast<std::byte>(frame.size())};
    pieces[count++] = prefix;
    pieces[count++] = frame;
  }
  if (count > 0) endpoint_->send(std::span(pieces).first(count));
  return count > 0;
}

// --- the end -----------------------------------------------------------------------------------

void Connection::release() {
  loop_.cancel(timer_);
  incoming_.clear();
  if (phase_ == Phase::kOpen && error_->code == Code::kClosed && !end_read_) {
    phase_ = Phase::kLingering;
    for (std::size_t i = 0; i < batch_.frames; ++i) {
      batch_.left_behind.push_back(std::move(queue_[i].frame));
    }
    timer_ = loop_.at(loop_.clock().now() + kLinger,
                      [self = shared_from_this()] { static_cast<Connection&>(*self).over(); });
    return linger();
  }
  over();
  if (done_) std::exchange(done_, nullptr)(*error_);
}

/// The peer answers our end by giving up the life line.
void Connection::linger() {
  if (endpoint_->failure()) return over();
  while (endpoint_->receive()) {
    // Nobody reads it any more, but our end does not leave while the peer's bytes stand in the way.
  }
  if (endpoint_->sending() || end_sent_) return;
  end_sent_ = true;
  batch_.words.clear();
  append_word(batch_.words, Word::kEnd, 0);
  const BytesView piece(batch_.words);
  endpoint_->send({&piece, 1});
}

void Connection::over() {
  const auto self = shared_from_this();
  phase_ = Phase::kOver;
  loop_.cancel(timer_);
  endpoint_->shut();
  batch_.left_behind.clear();
  life_line_.reset();
}

}  // namespace

void join(Loop& loop, std::shared_ptr<Context> context, std::unique_ptr<Link> life_line,
          Deadline deadline, Joined done) {
  // In a shared pointer, because a task can be copied.
  const auto line = std::make_shared<std::unique_ptr<Link>>(std::move(life_line));
  loop.post([&loop, context = std::move(context), line, deadline, done = std::move(done)] {
    auto endpoint = Endpoint::open(loop, context);
    if (!endpoint.ok()) return done(endpoint.error());
    auto address = (*endpoint)->address();
    if (!address.ok()) return done(address.error());
    std::make_shared<Connection>(loop, std::move(*endpoint), std::move(*line), done)
        ->begin(std::move(*address), deadline);
  });
}

}  // namespace reef::link::ucx
