#include "runtime/link/probe.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace reef::link {
namespace {

/// Of messages on a probe's channel. The control lane has the first two.
enum Kind : std::uint16_t {
  kEcho = 1,   ///< comes back as it is
  kTally = 2,  ///< comes back with `bytes that have arrived u64 | the other end's clock u64, ns`
  kBulk = 3,   ///< dropped
};

constexpr std::size_t kEchoSize = 64;
constexpr std::size_t kTallySize = 1;
/// Answers that a server keeps for a client that does not read.
constexpr std::size_t kMostQueued = 16 * 1024;
/// One fragment each, so that arrivals are counted finely.
constexpr std::size_t kBulkSize = 65'000;
constexpr double kAsGoodAsBest = 0.97;
/// For the second tally to come back. Longer than a line takes to be given up for dead, and than
/// any queue holds back; a peer that keeps the line alive and says nothing must not hold us.
constexpr Duration kAnswerTime = std::chrono::seconds(30);

std::uint64_t nanoseconds(Time time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

Message control(Kind kind, Bytes payload) {
  Message message;
  message.kind = kind;
  message.payload = Payload(std::move(payload));
  return message;
}

struct Tally {
  std::uint64_t bytes = 0;
  std::uint64_t clock = 0;
};

/// The measurement on its way. Held by whatever calls it next.
class Measurement : public std::enable_shared_from_this<Measurement> {
 public:
  Measurement(Executor& executor, ProbeOptions options, OpenChannel open,
              std::function<void(Result<LineReport>)> done)
      : executor_(executor),
        options_(std::move(options)),
        open_(std::move(open)),
        done_(std::move(done)) {}

  void begin() {
    open(options_.streams.front(), [this] {
      echo();
      after(options_.idle, [this] {
        report_.round_trip = median(echoes_);
        report_.fastest = echoes_.empty() ? Duration() : *std::ranges::min_element(echoes_);
        load();
      });
    });
  }

 private:
  /// `then` after the channel is open; errors end the measurement.
  void open(std::uint16_t streams, std::function<void()> then) {
    open_(streams, [self = shared_from_this(), then = std::move(then)](auto channel) {
      if (!self->done_) return;
      if (!channel.ok()) return self->finish(channel.error());
      self->channel_ = std::move(*channel);
      self->channel_->start(
          [weak = self->weak_from_this()](const Message& message) {
            if (const auto measurement = weak.lock()) measurement->receive(message);
          },
          [weak = self->weak_from_this()](Error why) {
            if (const auto measurement = weak.lock()) measurement->finish(std::move(why));
          });
      then();
    });
  }

  /// Unless the measurement has ended or gone on to another channel by then.
  void after(Duration time, std::function<void()> then) {
    executor_.at(executor_.clock().now() + time,
                 [self = shared_from_this(), then = std::move(then), trial = trial_] {
                   if (self->done_ && self->trial_ == trial) then();
                 });
  }

  void echo() {
    Bytes payload(kEchoSize);
    store(payload.data(), nanoseconds(executor_.clock().now()));
    channel_->send(control(kEcho, std::move(payload)), kNoDeadline, nullptr);
    after(options_.echo, [this] { echo(); });
  }

  void load() {
    echoes_.clear();
    for (std::size_t i = 0; i < options_.ahead; ++i) send_bulk();
    after(options_.settle, [this] {
      echoes_.clear();
      stats_ = channel_->transport_stats();
      tally();
    });
    after(options_.settle + options_.load, [this] { tally(); });
    after(options_.settle + options_.load + kAnswerTime, [this] {
      finish(Error{Code::kTimedOut, channel_->peer_name(), "does not answer the probe"});
    });
  }
  void send_bulk() {
    Message message;
    message.kind = kBulk;
    message.payload = bulk_;
    message.lane = Lane::kBulk;
    channel_->send(std::move(message), kNoDeadline, [weak = weak_from_this()](const Status& sent) {
      const auto self = weak.lock();
      if (self && self->channel_ && sent.ok()) self->send_bulk();
    });
  }
  void tally() { channel_->send(control(kTally, Bytes(kTallySize)), kNoDeadline, nullptr); }

  void receive(const Message& message) {
    const BytesView payload = message.payload.view();
    if (message.kind == kEcho && payload.size() == kEchoSize) {
      const std::uint64_t sent = load_u64(payload, 0), now = nanoseconds(executor_.clock().now());
      if (sent <= now) echoes_.push_back(Duration(static_cast<Duration::rep>(now - sent)));
    } else if (message.kind == kTally && payload.size() == 16) {
      tallied({load_u64(payload, 0), load_u64(payload, 8)});
    } else {
      finish(Error{Code::kProto, channel_->peer_name(), "not an answer to a probe"});
    }
  }
  static std::uint64_t load_u64(BytesView from, std::size_t at) {
    return reef::load<std::uint64_t>(from.data() + at);
  }

  void tallied(const Tally& tally) {
    if (!first_) {
      first_ = tally;
      return;
    }
    Trial trial;
    trial.streams = options_.streams[trial_];
    const bool forward = tally.clock > first_->clock && tally.bytes >= first_->bytes;
    const double seconds = static_cast<double>(tally.clock - first_->clock) / 1e9;
    const TransportStats stats = channel_->transport_stats();
    const double packets = static_cast<double>(stats.packets - stats_.packets);
    trial.rate = 8 * static_cast<double>(tally.bytes - first_->bytes) / seconds;
    if (!forward || trial.rate > kFastestLine)
      return finish(Error{Code::kProto, channel_->peer_name(), "a tally that cannot be"});
    if (packets > 0) {
      trial.loss = static_cast<double>(stats.retransmitted - stats_.retransmitted) / packets;
    }
    trial.round_trip = median(echoes_);
    trial.slowest = echoes_.empty() ? Duration() : *std::ranges::max_element(echoes_);
    trial.echoes = echoes_.size();
    report_.trials.push_back(trial);
    next_trial();
  }

  void next_trial() {
    first_.reset();
    ++trial_;
    // Not from inside the channel's own callback.
    executor_.post([self = shared_from_this(), old = std::move(channel_)]() mutable {
      old.reset();
      if (!self->done_) return;
      if (self->trial_ == self->options_.streams.size()) return self->finish(self->report_);
      self->open(self->options_.streams[self->trial_], [self = self.get()] {
        self->echo();
        self->load();
      });
    });
  }

  void finish(Result<LineReport> result) {
    if (!done_) return;
    executor_.post([self = shared_from_this(), old = std::move(channel_)] {});
    std::exchange(done_, nullptr)(std::move(result));
  }

  static Duration median(std::vector<Duration> values) {
    if (values.empty()) return {};
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
  }

  Executor& executor_;
  const ProbeOptions options_;
  const OpenChannel open_;
  std::function<void(Result<LineReport>)> done_;
  const Payload bulk_{Bytes(kBulkSize, std::byte{0x5A})};

  std::shared_ptr<Channel> channel_;
  std::size_t trial_ = 0;
  std::vector<Duration> echoes_;
  std::optional<Tally> first_;
  TransportStats stats_;
  LineReport report_;
};

}  // namespace

const Trial& LineReport::best() const {
  const auto by_rate = [](const Trial& a, const Trial& b) { return a.rate < b.rate; };
  const double best = std::ranges::max_element(trials, by_rate)->rate;
  return *std::ranges::find_if(
      trials, [best](const Trial& trial) { return trial.rate >= kAsGoodAsBest * best; });
}

ProbeServer::ProbeServer(std::unique_ptr<Channel> channel, std::function<void()> over)
    : channel_(std::move(channel)) {
  channel_->start([this](Message message) { receive(std::move(message)); },
                  [over = std::move(over)](const Error&) { over(); });
}

void ProbeServer::receive(Message message) {
  const std::size_t size = message.payload.size();
  const bool asks = (message.kind == kEcho && size == kEchoSize) ||
                    (message.kind == kTally && size == kTallySize);
  const bool welcome = message.header.empty() && (asks || message.kind == kBulk);
  if (!welcome || channel_->queued_bytes() > kMostQueued) return channel_->close(false);
  switch (message.kind) {
    case kEcho:
      message.lane = Lane::kControl;
      return channel_->send(std::move(message), kNoDeadline, nullptr);
    case kTally: {
      Bytes answer(16);
      // As they arrive: a lane that waits for one lost packet gives out nothing, and then much.
      store(answer.data(), channel_->counters().fragment_bytes_received);
      store(answer.data() + 8, nanoseconds(channel_->executor().clock().now()));
      return channel_->send(control(kTally, std::move(answer)), kNoDeadline, nullptr);
    }
    default:
      return;
  }
}

void measure(Executor& executor, ProbeOptions options, OpenChannel open,
             std::function<void(Result<LineReport>)> done) {
  const auto measurement =
      std::make_shared<Measurement>(executor, std::move(options), std::move(open), std::move(done));
  executor.post([measurement] { measurement->begin(); });
}

}  // namespace reef::link
