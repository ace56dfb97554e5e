// What a verified peer can put into records: fragments of messages in any order.

#include "runtime/link/channel/channel.h"

#include <optional>

#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// Small, so that the limit can be met and memory that is taken too early is seen.
constexpr std::size_t kMaxPayload = 64 * 1024;

/// A sealed link whose peer is the input.
class Records final : public link::RecordLink {
 public:
  explicit Records(link::Executor& executor) : executor_(executor) {}

  void start(link::FrameHandler, link::ClosedHandler) override { CHECK(false); }
  void start_records(link::RecordHandler on_record, link::ClosedHandler on_closed) override {
    on_record_ = std::move(on_record);
    on_closed_ = std::move(on_closed);
  }
  void send(Bytes, Deadline, link::Done) override { CHECK(false) << "nothing was to be sent"; }
  void send_record(const link::RecordHeader&, std::span<const BytesView>, Deadline,
                   link::Done) override {
    CHECK(false) << "nothing was to be sent";
  }
  void close() override { closed_ = true; }
  void set_reading(bool) override {}
  std::size_t record_overhead() const override { return 38; }
  std::size_t max_frame() const override { return link::kMaxFrame - 36; }
  std::size_t queued_bytes() const override { return 0; }
  std::string peer_name() const override { return "peer"; }
  link::Executor& executor() override { return executor_; }

  void arrive(const link::RecordHeader& header, BytesView body) { on_record_(header, body); }
  bool closed() const { return closed_; }

 private:
  link::Executor& executor_;
  link::RecordHandler on_record_;
  link::ClosedHandler on_closed_;
  bool closed_ = false;
};

struct Seen {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  std::optional<Error> closed;

  void take(const link::Message& message) {
    CHECK(!closed) << "a message after the end";
    CHECK_LE(message.header.size(), link::kMaxMessageHeader);
    CHECK_LE(message.payload.size(), kMaxPayload);
    CHECK_LT(static_cast<std::size_t>(message.lane), link::kLanes);
    ++messages;
    bytes += message.header.size() + message.payload.size();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  link::sim::SimNetwork network(1);
  auto owned = std::make_unique<Records>(network);
  Records* const records = owned.get();
  link::ChannelOptions options;
  options.max_payload = kMaxPayload;
  auto channel = link::PlainChannelForTests::over_records(std::move(owned), options);
  Seen seen;
  channel->start([&seen](link::Message message) { seen.take(message); },
                 [&seen](Error why) {
                   CHECK(!seen.closed) << "closed twice";
                   seen.closed = std::move(why);
                 });
  network.run_for({});
  std::size_t sent = 0;
  while (!input.empty()) {
    const auto flags = input.number<std::uint8_t>();
    const std::uint64_t id = input.number<std::uint16_t>();
    const std::uint64_t epoch = input.number<std::uint8_t>();
    const BytesView body = input.piece();
    sent += body.size();
    records->arrive({flags, id, epoch}, body);
    network.run_for({});
  }
  CHECK_LE(seen.bytes, sent);
  CHECK_EQ(channel->counters().messages_received, seen.messages);
  CHECK_EQ(records->closed(), seen.closed.has_value());
  if (seen.closed) fuzz::check_refusal(*seen.closed, {Code::kProto});
  return 0;
}
