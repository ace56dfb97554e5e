// What the other ranks of a collective send to one that is in the middle of it.

#include <algorithm>

#include "collectives/algorithms/algorithms.h"
#include "collectives/wide/channel_courier.h"
#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// A rank's part of the ring is over after about so many bytes.
constexpr std::size_t kLongestInput = 512;
constexpr collectives::Rank kWorld = 3;
constexpr std::uint64_t kElements = 64;

/// A sealed link to somebody who only listens.
class Sink final : public link::RecordLink {
 public:
  explicit Sink(link::Executor& executor) : executor_(executor) {}

  void start(link::FrameHandler, link::ClosedHandler) override { CHECK(false); }
  void start_records(link::RecordHandler, link::ClosedHandler) override {}
  void send(Bytes, Deadline, link::Done) override { CHECK(false); }
  void send_record(const link::RecordHeader&, std::span<const BytesView>, Deadline,
                   link::Done done) override {
    executor_.post([done = std::move(done)] { done(Status()); });
  }
  void close() override {}
  void set_reading(bool) override {}
  std::size_t record_overhead() const override { return 38; }
  std::size_t max_frame() const override { return link::kMaxFrame - 36; }
  std::size_t queued_bytes() const override { return 0; }
  std::string peer_name() const override { return "rank"; }
  link::Executor& executor() override { return executor_; }

 private:
  link::Executor& executor_;
};

/// The others, the same for every input: once it is over they have nothing to send any more.
struct Others {
  link::sim::SimNetwork network{1};
  std::vector<std::unique_ptr<link::Channel>> channels{kWorld};
  std::vector<link::Channel*> peers{kWorld};

  Others() {
    for (collectives::Rank rank = 1; rank < kWorld; ++rank) {
      channels[rank] =
          link::PlainChannelForTests::over_records(std::make_unique<Sink>(network), {});
      channels[rank]->start([](const link::Message&) {}, [](const Error&) { CHECK(false); });
      peers[rank] = channels[rank].get();
    }
  }
  void send_all() {
    network.run_for(std::chrono::seconds(1));
    for (collectives::Rank rank = 1; rank < kWorld; ++rank)
      CHECK_EQ(peers[rank]->queued_bytes(), 0u);
  }
};

/// Rank 0.
struct Member {
  std::vector<float> buffer = std::vector<float>(kElements, 1);
  collectives::Operation operation;
  collectives::ChannelCourier courier;

  explicit Member(const Others& others)
      : operation(schedule(), 0, buffer), courier(others.peers, 1, nullptr) {
    operation.run(courier);
  }
  static std::shared_ptr<const collectives::Schedule> schedule() {
    static const auto schedule = std::make_shared<const collectives::Schedule>(
        collectives::ring_all_reduce(collectives::ranks_of(kWorld), kElements, 5));
    return schedule;
  }
};

}  // namespace

/// `from u8 | header piece | payload piece`, as often as there are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min(size, kLongestInput));
  static Others others;
  Member member(others);
  while (!input.empty()) {
    const auto from = static_cast<collectives::Rank>(1 + input.below(kWorld - 1));
    link::Message message;
    message.kind = 1;
    message.header = to_bytes(input.piece());
    message.payload = link::Payload(to_bytes(input.piece()));
    const bool was_finished = member.operation.finished();
    const Status status = member.courier.received(from, message, member.operation);
    if (!status.ok()) fuzz::check_refusal(status.error(), {Code::kProto});
    CHECK(!was_finished || member.operation.finished());
    CHECK_EQ(member.operation.finished(), member.operation.waits_for().empty());
  }
  others.send_all();
  return 0;
}
