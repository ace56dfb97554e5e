#include "runtime/link/channel/channel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/link/channel/inbox.h"
#include "runtime/link/channel/outbox.h"
#include "runtime/link/channel/window.h"

namespace reef::link {
namespace {

/// For the farewells of a peer's other streams once one has come.
constexpr std::chrono::seconds kFarewellTime{2};

}  // namespace

Payload::Payload(Bytes bytes) : Payload(std::make_shared<const Bytes>(std::move(bytes))) {}
Payload::Payload(std::shared_ptr<const Bytes> bytes) {
  if (!bytes) return;
  view_ = *bytes;
  owner_ = std::move(bytes);
}

class Channel::Core : public std::enable_shared_from_this<Channel::Core> {
 public:
  Core(std::vector<std::unique_ptr<RecordLink>> links, const security::Credential* peer,
       ChannelOptions options)
      : executor_(links.front()->executor()),
        name_(links.front()->peer_name()),
        options_(options),
        overhead_(links.front()->record_overhead() + kFragmentPrefix),
        inbox_(options.max_payload, links.size()) {
    if (peer != nullptr) peer_ = *peer;
    for (auto& link : links) {
      const Window window(link->max_frame() - kFragmentPrefix, options.fragments_in_flight);
      streams_.push_back({std::move(link), window, false});
    }
  }

  void start(MessageHandler on_message, ClosedHandler on_closed);
  void send(Message message, Deadline deadline, Done done);
  void close(bool drain);
  void detach();

  ChannelCounters counters() const;
  std::size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  TransportStats transport_stats() const;
  const security::Credential* peer() const { return peer_ ? &*peer_ : nullptr; }
  const std::string& name() const { return name_; }
  Executor& executor() { return executor_; }

 private:
  struct Stream {
    std::unique_ptr<RecordLink> link;
    Window window;
    bool ended = false;  ///< the peer has said farewell on it
  };
  struct Posted {
    Message message;
    Deadline deadline;
    Done done;
  };

  void take_posted();
  void enqueue(Posted posted);
  void pump();
  bool pump_one();
  std::size_t idlest_data_stream();
  void send_fragment(std::size_t stream, const Outbox::Cut& cut);
  void fragment_left(std::size_t stream, std::uint64_t id, std::size_t size, Time handed);
  void expired(std::uint64_t id, Lane lane);
  void complete(Outbox::Entry entry, const Status& status);
  void complete_all(const Error& why);
  void close_if_drained();
  void close_streams();

  void on_record(const RecordHeader& header, BytesView body);
  void stream_ended(std::size_t stream, Error why);
  void fail(Error why);
  Error closed() const { return {Code::kClosed, name_, "the channel is closed"}; }

  std::vector<Stream> streams_;
  Executor& executor_;
  const std::string name_;
  const ChannelOptions options_;
  const std::size_t overhead_;
  std::optional<security::Credential> peer_;

  std::mutex mutex_;  ///< guards posted_
  std::vector<Posted> posted_;
  std::atomic<std::size_t> queued_bytes_{0};

  // Executor only.
  Outbox outbox_;
  Inbox inbox_;
  std::uint64_t next_id_ = 1;
  std::size_t next_stream_ = 0;  ///< among equally busy ones
  std::shared_ptr<MessageHandler> on_message_;
  ClosedHandler on_closed_;
  std::optional<Error> error_;
  TimerId farewell_timer_ = 0;
  bool started_ = false;
  bool detached_ = false;
  bool draining_ = false;
  bool closing_ = false;

  std::atomic<std::uint64_t> messages_sent_{0}, messages_received_{0};
  std::atomic<std::uint64_t> payload_sent_{0}, payload_received_{0};
  std::atomic<std::uint64_t> wire_sent_{0}, wire_received_{0};
  std::atomic<std::uint64_t> fragments_received_{0};
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
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    streams_[i].link->start_records(
        [weak = weak_from_this()](const RecordHeader& header, BytesView body) {
          if (const auto self = weak.lock()) self->on_record(header, body);
        },
        [weak = weak_from_this(), i](Error why) {
          if (const auto self = weak.lock()) self->stream_ended(i, std::move(why));
        });
  }
}

// --- sending -----------------------------------------------------------------------------------

void Channel::Core::send(Message message, Deadline deadline, Done done) {
  queued_bytes_.fetch_add(message.size(), std::memory_order_relaxed);
  bool first;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back({std::move(message), deadline, std::move(done)});
  }
  if (first) executor_.post([self = shared_from_this()] { self->take_posted(); });
}

void Channel::Core::take_posted() {
  std::vector<Posted> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (Posted& one : posted) enqueue(std::move(one));
  pump();
}

void Channel::Core::enqueue(Posted posted) {
  const Message& message = posted.message;
  const Lane lane = message.lane;
  std::optional<Error> refusal = error_;
  if (!refusal && (draining_ || closing_)) refusal = closed();
  if (!refusal &&
      (message.header.size() > kMaxMessageHeader || message.payload.size() > options_.max_payload ||
       static_cast<std::size_t>(lane) >= kLanes)) {
    refusal = Error{Code::kUsage, name_,
                    "a message over the limits; header " + std::to_string(kMaxMessageHeader) +
                        ", payload " + std::to_string(options_.max_payload) + " bytes"};
  }
  Outbox::Entry entry{
      .id = next_id_++, .message = std::move(posted.message), .done = std::move(posted.done)};
  if (refusal) return complete(std::move(entry), *refusal);
  if (posted.deadline != kNoDeadline) {
    entry.timer = executor_.at(posted.deadline, [weak = weak_from_this(), id = entry.id, lane] {
      if (const auto self = weak.lock()) self->expired(id, lane);
    });
  }
  outbox_.push(std::move(entry));
}

void Channel::Core::pump() {
  while (!error_ && !closing_ && pump_one()) {
  }
  close_if_drained();
}

bool Channel::Core::pump_one() {
  const bool alone = streams_.size() == 1;
  const Lane last = alone ? Lane::kBulk : Lane::kControl;
  if (const std::size_t room = streams_[0].window.room();
      room > 0 && outbox_.has(Lane::kControl, last)) {
    send_fragment(0, outbox_.cut(Lane::kControl, last, room));
    return true;
  }
  if (alone || !outbox_.has(Lane::kActivation, Lane::kBulk)) return false;
  const std::size_t stream = idlest_data_stream();
  const std::size_t room = streams_[stream].window.room();
  if (room == 0) return false;
  send_fragment(stream, outbox_.cut(Lane::kActivation, Lane::kBulk, room));
  return true;
}

/// Of those with room the one with the least in flight; any where none has room.
std::size_t Channel::Core::idlest_data_stream() {
  const std::size_t count = streams_.size() - 1;
  std::size_t idlest = 1 + next_stream_ % count;
  for (std::size_t i = 1; i < count; ++i) {
    const std::size_t other = 1 + (next_stream_ + i) % count;
    const Window &best = streams_[idlest].window, &window = streams_[other].window;
    if (window.room() > 0 && (best.room() == 0 || window.in_flight() < best.in_flight())) {
      idlest = other;
    }
  }
  ++next_stream_;
  return idlest;
}

void Channel::Core::send_fragment(std::size_t stream, const Outbox::Cut& cut) {
  const auto front = prefix(cut.fragment);
  const std::array<BytesView, 3> pieces{front, cut.pieces[0], cut.pieces[1]};
  streams_[stream].window.handed(cut.size());
  wire_sent_ += overhead_ + cut.size();
  streams_[stream].link->send_record(
      record_header(cut.fragment), pieces, kNoDeadline,
      [weak = weak_from_this(), stream, id = cut.id, size = cut.size(),
       handed = executor_.clock().now()](const Status& status) {
        const auto self = weak.lock();
        if (!self) return;
        if (status.ok()) return self->fragment_left(stream, id, size, handed);
        // After a farewell on_closed decides.
        if (status.error().code != Code::kClosed) self->fail(status.error());
      });
}

void Channel::Core::fragment_left(std::size_t stream, std::uint64_t id, std::size_t size,
                                  Time handed) {
  streams_[stream].window.left(size, executor_.clock().now() - handed);
  if (auto entry = outbox_.left(id)) {
    ++messages_sent_;
    payload_sent_ += entry->message.payload.size();
    complete(std::move(*entry), Status());
  }
  pump();
}

void Channel::Core::expired(std::uint64_t id, Lane lane) {
  std::optional<Fragment> abort;
  auto entry = outbox_.take_back(id, lane, abort);
  if (!entry) return;
  entry->timer = 0;
  if (abort) {
    send_fragment(streams_.size() == 1 ? 0 : idlest_data_stream(), {0, *abort, {}});
  }
  complete(std::move(*entry),
           Error{Code::kTimedOut, name_, "a message has not left by its deadline"});
  pump();
}

void Channel::Core::complete(Outbox::Entry entry, const Status& status) {
  if (entry.timer != 0) executor_.cancel(entry.timer);
  queued_bytes_.fetch_sub(entry.message.size(), std::memory_order_relaxed);
  entry.message = {};
  if (entry.done) entry.done(status);
}

void Channel::Core::complete_all(const Error& why) {
  for (Outbox::Entry& entry : outbox_.take_all()) complete(std::move(entry), why);
}

// --- receiving ---------------------------------------------------------------------------------

void Channel::Core::on_record(const RecordHeader& header, BytesView body) {
  if (error_) return;
  const auto self = shared_from_this();
  wire_received_ += overhead_ - kFragmentPrefix + body.size();
  if (const Status taken = inbox_.take(header, body); !taken.ok()) {
    return fail({taken.error().code, name_, taken.error().what});
  }
  fragments_received_ += body.size() - kFragmentPrefix;
  while (!error_) {
    auto message = inbox_.next();
    if (!message) return;
    ++messages_received_;
    payload_received_ += message->payload.size();
    const auto handler = on_message_;
    if (handler) (*handler)(std::move(*message));
  }
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
  const auto self = shared_from_this();
  close_streams();
  complete_all(closed());
  if (!started_) fail(closed());
}

void Channel::Core::close_if_drained() {
  if (!draining_ || closing_ || error_) return;
  if (outbox_.has(Lane::kControl, Lane::kBulk)) return;
  if (!std::all_of(streams_.begin(), streams_.end(),
                   [](const Stream& one) { return one.window.idle(); }))
    return;
  close_streams();
  if (!started_) fail(closed());
}

void Channel::Core::close_streams() {
  closing_ = true;
  for (Stream& stream : streams_) {
    if (!stream.ended) stream.link->close();
  }
}

/// A farewell on one stream may overtake messages on the others.
void Channel::Core::stream_ended(std::size_t stream, Error why) {
  if (error_) return;
  streams_[stream].ended = true;
  const bool all =
      std::all_of(streams_.begin(), streams_.end(), [](const Stream& one) { return one.ended; });
  if (why.code != Code::kClosed || all) return fail(std::move(why));
  if (farewell_timer_ != 0) return;
  farewell_timer_ =
      executor_.at(executor_.clock().now() + kFarewellTime, [weak = weak_from_this(), why] {
        if (const auto self = weak.lock()) self->fail(why);
      });
}

void Channel::Core::fail(Error why) {
  if (error_) return;
  const auto self = shared_from_this();
  error_ = std::move(why);
  executor_.cancel(farewell_timer_);
  inbox_.clear();
  // Of a message, kTimedOut says that it missed its own deadline.
  complete_all(error_->code == Code::kTimedOut ? Error{Code::kPeerLost, error_->where, error_->what}
                                               : *error_);
  close_streams();
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
  fail(closed());
  streams_.clear();
}

ChannelCounters Channel::Core::counters() const {
  return {messages_sent_, messages_received_, payload_sent_,      payload_received_,
          wire_sent_,     wire_received_,     fragments_received_};
}

TransportStats Channel::Core::transport_stats() const {
  TransportStats all;
  for (const Stream& stream : streams_) {
    const TransportStats one = stream.link->transport_stats();
    all.packets += one.packets;
    all.retransmitted += one.retransmitted;
    const bool first = all.round_trip == Duration::zero();
    all.round_trip = first ? one.round_trip : std::min(all.round_trip, one.round_trip);
    // Control alone says nothing of the line: who waits for an acknowledgement of a few bytes is
    // not sending.
    if (streams_.size() > 1 && &stream == &streams_.front()) continue;
    all.acknowledged_bytes += one.acknowledged_bytes;
    all.busy = std::max(all.busy, one.busy);  // they share the load
    all.sending = all.sending || one.sending;
    all.burst_rate = std::max(all.burst_rate, one.burst_rate);
  }
  return all;
}

// --- the handle --------------------------------------------------------------------------------

std::unique_ptr<Channel> Channel::create(std::vector<std::unique_ptr<secure::SecureLink>> streams,
                                         ChannelOptions options) {
  const security::Credential peer = streams.front()->peer();
  std::vector<std::unique_ptr<RecordLink>> links;
  for (auto& stream : streams) links.push_back(std::move(stream));
  return std::unique_ptr<Channel>(new Channel(std::move(links), &peer, options));
}

std::unique_ptr<Channel> Channel::create(std::unique_ptr<secure::SecureLink> link,
                                         ChannelOptions options) {
  std::vector<std::unique_ptr<secure::SecureLink>> streams;
  streams.push_back(std::move(link));
  return create(std::move(streams), options);
}

Channel::Channel(std::vector<std::unique_ptr<RecordLink>> streams, const security::Credential* peer,
                 ChannelOptions options)
    : core_(std::make_shared<Core>(std::move(streams), peer, options)) {}

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
TransportStats Channel::transport_stats() const { return core_->transport_stats(); }
std::size_t Channel::queued_bytes() const { return core_->queued_bytes(); }
const security::Credential* Channel::peer() const { return core_->peer(); }
std::string Channel::peer_name() const { return core_->name(); }
Executor& Channel::executor() { return core_->executor(); }

}  // namespace reef::link
