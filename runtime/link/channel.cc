#include "runtime/link/channel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace reef::link {
namespace {

// A message is cut into fragments, one a record; all carry its id and epoch in the record's header.
// The first fragment's body begins with the prefix; the rest is the header, then the payload,
// unparted.
//   prefix: kind u16 | lane u8 | zero u8 | header length u32 | payload length u64
constexpr std::size_t kPrefixSize = 16;
enum Flag : std::uint8_t { kFirst = 1, kLast = 2, kAbort = 4 };

}  // namespace

Payload::Payload(Bytes bytes) : Payload(std::make_shared<const Bytes>(std::move(bytes))) {}
Payload::Payload(std::shared_ptr<const Bytes> bytes) {
  if (!bytes) return;
  view_ = *bytes;
  owner_ = std::move(bytes);
}

class Channel::Core : public std::enable_shared_from_this<Channel::Core> {
 public:
  Core(std::unique_ptr<RecordLink> link, const security::Credential* peer, ChannelOptions options)
      : link_(std::move(link)),
        executor_(link_->executor()),
        name_(link_->peer_name()),
        options_(options),
        fragment_(link_->max_frame()),
        overhead_(link_->record_overhead()) {
    if (peer != nullptr) peer_ = *peer;
  }

  void start(MessageHandler on_message, ClosedHandler on_closed);
  void send(Message message, Deadline deadline, Done done);
  void close(bool drain);
  void detach();

  ChannelCounters counters() const;
  std::size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  const security::Credential* peer() const { return peer_ ? &*peer_ : nullptr; }
  const std::string& name() const { return name_; }
  Executor& executor() { return executor_; }

 private:
  struct Outgoing {
    Message message;
    Deadline deadline = kNoDeadline;
    Done done;
    std::uint64_t id = 0;
    std::size_t sent = 0;  ///< of header and payload
    bool begun = false;
    TimerId timer = 0;
    std::size_t size() const { return message.header.size() + message.payload.size(); }
  };
  struct Partial {
    bool active = false;
    std::uint64_t id = 0;
    std::uint64_t last_id = 0;  ///< ids only grow within a lane
    std::size_t header_size = 0;
    std::size_t payload_size = 0;
    Message message;
    Bytes payload;

    /// Ready for the next message of the lane.
    void clear() {
      const std::uint64_t seen = last_id;
      *this = Partial();
      last_id = seen;
    }
  };

  void take_posted();
  void enqueue(Outgoing out);
  void pump();
  void send_fragment(Outgoing& out, bool& last);
  void fragment_left(std::uint64_t finished_id);
  void expired(Lane lane, std::uint64_t id);
  void complete(Outgoing out, const Status& status);
  void complete_all(const Error& why);
  void close_if_drained();

  void on_record(const RecordHeader& header, BytesView body);
  bool begin_message(const RecordHeader& header, BytesView& body, Partial*& partial);
  void append(Partial& partial, BytesView body);
  void violation(std::string what) { fail({Code::kProto, name_, std::move(what)}); }
  void fail(Error why);

  std::unique_ptr<RecordLink> link_;
  Executor& executor_;
  const std::string name_;
  const ChannelOptions options_;
  const std::size_t fragment_;
  const std::size_t overhead_;
  std::optional<security::Credential> peer_;

  std::mutex mutex_;  ///< guards posted_
  std::vector<Outgoing> posted_;
  std::atomic<std::size_t> queued_bytes_{0};

  // Executor only.
  std::array<std::deque<Outgoing>, kLanes> lanes_;
  std::map<std::uint64_t, Outgoing> leaving_;  ///< all fragments handed over, the last not Done
  std::size_t in_flight_ = 0;
  std::uint64_t next_id_ = 1;
  std::array<Partial, kLanes> partial_;
  std::shared_ptr<MessageHandler> on_message_;
  ClosedHandler on_closed_;
  std::optional<Error> error_;
  bool started_ = false;
  bool detached_ = false;
  bool draining_ = false;
  bool closing_ = false;

  std::atomic<std::uint64_t> messages_sent_{0}, messages_received_{0};
  std::atomic<std::uint64_t> payload_sent_{0}, payload_received_{0};
  std::atomic<std::uint64_t> wire_sent_{0}, wire_received_{0};
};

void Channel::Core::start(MessageHandler on_message, ClosedHandler on_closed) {
  if (started_ || detached_) return;
  started_ = true;
  on_message_ = std::make_shared<MessageHandler>(std::move(on_message));
  on_closed_ = std::move(on_closed);
  if (error_) {
    const ClosedHandler handler = std::exchange(on_closed_, nullptr);
    on_message_.reset();
    if (handler) handler(*error_);
    return;
  }
  link_->start_records(
      [weak = weak_from_this()](const RecordHeader& header, BytesView body) {
        if (const auto self = weak.lock()) self->on_record(header, body);
      },
      [weak = weak_from_this()](Error why) {
        if (const auto self = weak.lock()) self->fail(std::move(why));
      });
}

// --- sending -----------------------------------------------------------------------------------

void Channel::Core::send(Message message, Deadline deadline, Done done) {
  Outgoing out;
  out.message = std::move(message);
  out.deadline = deadline;
  out.done = std::move(done);
  queued_bytes_.fetch_add(out.size(), std::memory_order_relaxed);
  bool first;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(out));
  }
  if (first) executor_.post([self = shared_from_this()] { self->take_posted(); });
}

void Channel::Core::take_posted() {
  std::vector<Outgoing> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (Outgoing& out : posted) enqueue(std::move(out));
  pump();
}

void Channel::Core::enqueue(Outgoing out) {
  if (error_) return complete(std::move(out), *error_);
  if (draining_ || closing_) {
    return complete(std::move(out), Error{Code::kClosed, name_, "the channel is closed"});
  }
  const Message& message = out.message;
  if (message.header.size() > kMaxMessageHeader || message.payload.size() > options_.max_payload ||
      static_cast<std::size_t>(message.lane) >= kLanes) {
    return complete(std::move(out),
                    Error{Code::kUsage, name_,
                          "a message over the limits; header " + std::to_string(kMaxMessageHeader) +
                              ", payload " + std::to_string(options_.max_payload) + " bytes"});
  }
  out.id = next_id_++;
  if (out.deadline != kNoDeadline) {
    out.timer =
        executor_.at(out.deadline, [weak = weak_from_this(), lane = message.lane, id = out.id] {
          if (const auto self = weak.lock()) self->expired(lane, id);
        });
  }
  lanes_[static_cast<std::size_t>(message.lane)].push_back(std::move(out));
}

void Channel::Core::pump() {
  while (!error_ && !closing_ && in_flight_ < options_.frames_in_flight) {
    const auto lane = std::find_if(lanes_.begin(), lanes_.end(),
                                   [](const auto& queue) { return !queue.empty(); });
    if (lane == lanes_.end()) break;
    Outgoing& out = lane->front();
    bool last = false;
    send_fragment(out, last);
    if (!last) continue;
    leaving_.emplace(out.id, std::move(out));
    lane->pop_front();
  }
  close_if_drained();
}

void Channel::Core::send_fragment(Outgoing& out, bool& last) {
  RecordHeader header{0, out.id, out.message.epoch};
  std::array<std::byte, kPrefixSize> prefix{};
  std::array<BytesView, 3> pieces;
  std::size_t room = fragment_;
  if (!out.begun) {
    header.flags |= kFirst;
    store(prefix.data(), out.message.kind);
    store(prefix.data() + 2, static_cast<std::uint8_t>(out.message.lane));
    store(prefix.data() + 4, static_cast<std::uint32_t>(out.message.header.size()));
    store(prefix.data() + 8, static_cast<std::uint64_t>(out.message.payload.size()));
    pieces[0] = prefix;
    room -= kPrefixSize;
    out.begun = true;
  }
  const BytesView whole[] = {out.message.header, out.message.payload.view()};
  std::size_t skip = out.sent;
  for (int i = 0; i < 2; ++i) {
    const std::size_t skipped = std::min(skip, whole[i].size());
    skip -= skipped;
    pieces[1 + i] = whole[i].subspan(skipped, std::min(room, whole[i].size() - skipped));
    room -= pieces[1 + i].size();
    out.sent += pieces[1 + i].size();
  }
  last = out.sent == out.size();
  if (last) header.flags |= kLast;
  ++in_flight_;
  wire_sent_ += overhead_ + fragment_ - room;
  const std::uint64_t finished = last ? out.id : 0;
  link_->send_record(header, pieces, kNoDeadline,
                     [weak = weak_from_this(), finished](const Status& status) {
                       const auto self = weak.lock();
                       // A failure is told by on_closed, or by send_record when it ended before.
                       if (!self) return;
                       if (status.ok()) return self->fragment_left(finished);
                       self->fail(status.error());
                     });
}

void Channel::Core::fragment_left(std::uint64_t finished_id) {
  if (in_flight_ > 0) --in_flight_;
  auto finished = leaving_.extract(finished_id);
  if (!finished.empty()) {
    ++messages_sent_;
    payload_sent_ += finished.mapped().message.payload.size();
    complete(std::move(finished.mapped()), Status());
  }
  pump();
}

void Channel::Core::expired(Lane lane, std::uint64_t id) {
  const Error why{Code::kTimedOut, name_, "a message has not left by its deadline"};
  if (auto leaving = leaving_.extract(id); !leaving.empty()) {
    leaving.mapped().timer = 0;
    return complete(std::move(leaving.mapped()), why);  // too late to take it back
  }
  auto& queue = lanes_[static_cast<std::size_t>(lane)];
  const auto found =
      std::find_if(queue.begin(), queue.end(), [id](const Outgoing& out) { return out.id == id; });
  if (found == queue.end()) return;
  Outgoing out = std::move(*found);
  queue.erase(found);
  out.timer = 0;
  if (out.begun) {
    // The peer holds a part of it: one record makes it forget.
    const std::byte nothing{};
    const BytesView piece(&nothing, 1);
    ++in_flight_;
    wire_sent_ += overhead_ + 1;
    link_->send_record({kAbort, out.id, out.message.epoch}, {&piece, 1}, kNoDeadline,
                       [weak = weak_from_this()](const Status& status) {
                         const auto self = weak.lock();
                         if (self && status.ok()) self->fragment_left(0);
                       });
  }
  complete(std::move(out), why);
  pump();
}

void Channel::Core::complete(Outgoing out, const Status& status) {
  if (out.timer != 0) executor_.cancel(out.timer);
  queued_bytes_.fetch_sub(out.size(), std::memory_order_relaxed);
  out.message = {};
  if (out.done) out.done(status);
}

void Channel::Core::complete_all(const Error& why) {
  auto leaving = std::exchange(leaving_, {});
  auto lanes = std::exchange(lanes_, {});
  for (auto& [id, out] : leaving) complete(std::move(out), why);
  for (auto& queue : lanes) {
    for (Outgoing& out : queue) complete(std::move(out), why);
  }
}

// --- receiving: nothing here believes the peer -------------------------------------------------

void Channel::Core::on_record(const RecordHeader& header, BytesView body) {
  if (error_) return;
  wire_received_ += overhead_ + body.size();
  Partial* partial = nullptr;
  if ((header.flags & ~(kFirst | kLast | kAbort)) != 0) return violation("unknown fragment flags");
  if ((header.flags & kFirst) != 0) {
    if ((header.flags & kAbort) != 0) return violation("unknown fragment flags");
    if (!begin_message(header, body, partial)) return;
  } else {
    for (Partial& candidate : partial_) {
      if (candidate.active && candidate.id == header.message) partial = &candidate;
    }
    if (partial == nullptr || partial->message.epoch != header.epoch) {
      return violation("a fragment of no message");
    }
    if (header.flags == kAbort) {
      partial->clear();
      return;
    }
    if ((header.flags & kAbort) != 0) return violation("unknown fragment flags");
  }

  const std::size_t left = partial->header_size - partial->message.header.size() +
                           partial->payload_size - partial->payload.size();
  if (body.size() > left) return violation("a message is longer than it said");
  const bool last = (header.flags & kLast) != 0;
  if (last != (body.size() == left)) return violation("a message ends where it should not");
  append(*partial, body);
  if (!last) return;

  Message message = std::move(partial->message);
  message.payload = Payload(std::move(partial->payload));
  partial->clear();
  ++messages_received_;
  payload_received_ += message.payload.size();
  const auto handler = on_message_;
  if (handler) (*handler)(std::move(message));
}

bool Channel::Core::begin_message(const RecordHeader& header, BytesView& body, Partial*& partial) {
  if (body.size() < kPrefixSize) return violation("a first fragment without its prefix"), false;
  const auto lane = load<std::uint8_t>(body.data() + 2);
  const auto zero = load<std::uint8_t>(body.data() + 3);
  const auto header_size = load<std::uint32_t>(body.data() + 4);
  const auto payload_size = load<std::uint64_t>(body.data() + 8);
  if (lane >= kLanes || zero != 0) return violation("a message in no lane"), false;
  if (header_size > kMaxMessageHeader || payload_size > options_.max_payload) {
    return violation("a message of " + std::to_string(header_size) + " + " +
                     std::to_string(payload_size) + " bytes; limit " +
                     std::to_string(kMaxMessageHeader) + " + " +
                     std::to_string(options_.max_payload)),
           false;
  }
  partial = &partial_[lane];
  if (partial->active) return violation("two messages at once in one lane"), false;
  if (header.message <= partial->last_id) return violation("a message id that goes back"), false;
  partial->active = true;
  partial->id = partial->last_id = header.message;
  partial->header_size = header_size;
  partial->payload_size = payload_size;
  partial->message.kind = load<std::uint16_t>(body.data());
  partial->message.lane = static_cast<Lane>(lane);
  partial->message.epoch = header.epoch;
  body = body.subspan(kPrefixSize);
  return true;
}

void Channel::Core::append(Partial& partial, BytesView body) {
  Bytes& header = partial.message.header;
  const std::size_t of_header = std::min(partial.header_size - header.size(), body.size());
  header.insert(header.end(), body.begin(), body.begin() + static_cast<std::ptrdiff_t>(of_header));
  body = body.subspan(of_header);
  if (body.empty()) return;
  // The limit has been checked. Reserved pages cost nothing until bytes arrive in them.
  partial.payload.reserve(partial.payload_size);
  partial.payload.insert(partial.payload.end(), body.begin(), body.end());
}

// --- the end -----------------------------------------------------------------------------------

void Channel::Core::close(bool drain) {
  if (error_ || closing_ || (draining_ && drain)) return;
  take_posted();
  if (error_) return;
  if (drain) {
    draining_ = true;
    return close_if_drained();
  }
  closing_ = true;
  const auto self = shared_from_this();
  link_->close();
  complete_all({Code::kClosed, name_, "the channel is closed"});
  if (!started_) fail({Code::kClosed, name_, "the channel is closed"});
}

void Channel::Core::close_if_drained() {
  if (!draining_ || closing_ || error_ || in_flight_ > 0) return;
  if (std::any_of(lanes_.begin(), lanes_.end(), [](const auto& q) { return !q.empty(); })) return;
  closing_ = true;
  link_->close();
  if (!started_) fail({Code::kClosed, name_, "the channel is closed"});
}

void Channel::Core::fail(Error why) {
  if (error_) return;
  const auto self = shared_from_this();
  error_ = std::move(why);
  for (Partial& partial : partial_) partial = Partial{};
  complete_all(*error_);
  if (link_) link_->close();
  if (!started_ || detached_) return;
  on_message_.reset();
  const ClosedHandler handler = std::exchange(on_closed_, nullptr);
  if (handler) handler(*error_);
}

void Channel::Core::detach() {
  detached_ = true;
  on_message_.reset();
  on_closed_ = nullptr;
  take_posted();
  fail({Code::kClosed, name_, "the channel is closed"});
  link_.reset();
}

ChannelCounters Channel::Core::counters() const {
  return {messages_sent_,    messages_received_, payload_sent_,
          payload_received_, wire_sent_,         wire_received_};
}

// --- the handle --------------------------------------------------------------------------------

std::unique_ptr<Channel> Channel::create(std::unique_ptr<secure::SecureLink> link,
                                         ChannelOptions options) {
  const security::Credential peer = link->peer();
  return std::unique_ptr<Channel>(new Channel(std::move(link), &peer, options));
}

Channel::Channel(std::unique_ptr<RecordLink> link, const security::Credential* peer,
                 ChannelOptions options)
    : core_(std::make_shared<Core>(std::move(link), peer, options)) {}

Channel::~Channel() {
  core_->executor().call([core = core_] { core->detach(); });
}

void Channel::start(MessageHandler on_message, ClosedHandler on_closed) {
  core_->executor().post([core = core_, on_message = std::move(on_message),
                          on_closed = std::move(on_closed)]() mutable {
    core->start(std::move(on_message), std::move(on_closed));
  });
}

void Channel::send(Message message, Deadline deadline, Done done) {
  core_->send(std::move(message), deadline, std::move(done));
}

void Channel::close(bool drain) {
  core_->executor().post([core = core_, drain] { core->close(drain); });
}

ChannelCounters Channel::counters() const { return core_->counters(); }
std::size_t Channel::queued_bytes() const { return core_->queued_bytes(); }
const security::Credential* Channel::peer() const { return core_->peer(); }
std::string Channel::peer_name() const { return core_->name(); }
Executor& Channel::executor() { return core_->executor(); }

}  // namespace reef::link
