#include "runtime/link/channel.h"

#include <gtest/gtest.h>

#include "runtime/link/sim/plain_channel.h"
#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;

Message message(Lane lane, std::size_t payload, std::uint16_t kind = 1) {
  Message out;
  out.kind = kind;
  out.header = pattern(kind % 50, kind);
  out.payload = pattern(payload, kind);
  out.lane = lane;
  out.epoch = 9;
  return out;
}

class ChannelTest : public testing::Test {
 protected:
  void open(double bits_per_second = 0, ChannelOptions options = {}) {
    sim::Line line;
    line.bits_per_second = bits_per_second;
    std::tie(link_a_, link_b_) = network_.connect("a", "b", line);
    a_ = PlainChannelForTests::create(std::move(link_a_), options);
    b_ = PlainChannelForTests::create(std::move(link_b_), options);
    start();
  }
  void start() {
    a_->start([](const Message&) {}, [this](const Error& why) { closed_a_.push_back(why); });
    b_->start([this](Message m) { got_.push_back(std::move(m)); },
              [this](const Error& why) { closed_b_.push_back(why); });
  }
  Done done() {
    return [this](const Status& status) { done_.push_back(status); };
  }

  sim::SimNetwork network_{1};
  std::unique_ptr<Link> link_a_, link_b_;
  std::unique_ptr<Channel> a_, b_;
  std::vector<Message> got_;
  std::vector<Status> done_;
  std::vector<Error> closed_a_, closed_b_;
};

TEST_F(ChannelTest, CarriesMessagesOfEverySizeOverASealedLink) {
  auto [left, right] = network_.connect("a", "b", {});
  const Identities identities;
  secure::accept(std::move(right), identities.scheduler_local(), kNoDeadline,
                 [&](auto link) { b_ = Channel::create(std::move(link).value()); });
  secure::connect(std::move(left), identities.node_local(), identities.expected(), 1, kNoDeadline,
                  [&](auto link) { a_ = Channel::create(std::move(link).value()); });
  ASSERT_TRUE(network_.run_while_not([&] { return a_ && b_; }, 1s));
  start();
  const std::size_t frame = 65535 - 36 - 16;
  const std::size_t sizes[] = {0, 1, frame - 1, frame, frame + 1, 3 * frame, 5'000'000};
  std::size_t bytes = 0;
  for (std::size_t size : sizes) {
    Message m = message(Lane::kGradient, size, 0);
    m.kind = 77;
    a_->send(std::move(m), kNoDeadline, done());
    bytes += size;
  }
  network_.run_for(10s);
  ASSERT_EQ(got_.size(), std::size(sizes));
  for (std::size_t i = 0; i < got_.size(); ++i) {
    EXPECT_EQ(to_bytes(got_[i].payload.view()), pattern(sizes[i], 0));
    EXPECT_EQ(got_[i].kind, 77);
    EXPECT_EQ(got_[i].epoch, 9u);
    EXPECT_EQ(got_[i].lane, Lane::kGradient);
  }
  EXPECT_EQ(b_->peer()->name, "node-1");
  EXPECT_EQ(a_->peer()->name, "scheduler");
  const ChannelCounters sent = a_->counters(), received = b_->counters();
  EXPECT_EQ(sent.messages_sent, std::size(sizes));
  EXPECT_EQ(sent.payload_bytes_sent, bytes);
  EXPECT_EQ(received.payload_bytes_received, bytes);
  EXPECT_EQ(sent.wire_bytes_sent, received.wire_bytes_received);
  EXPECT_GT(sent.wire_bytes_sent, bytes);
  EXPECT_EQ(a_->queued_bytes(), 0u);
}

TEST_F(ChannelTest, LetsAnUrgentLaneOvertakeBetweenFragments) {
  open(80e6);  // a frame takes about 6.5 ms
  a_->send(message(Lane::kBulk, 3'000'000, 4), kNoDeadline, done());
  network_.run_for(20ms);
  a_->send(message(Lane::kGradient, 300'000, 3), kNoDeadline, done());
  a_->send(message(Lane::kControl, 10, 1), kNoDeadline, done());
  const Time asked = network_.clock().now();
  ASSERT_TRUE(network_.run_while_not([&] { return got_.size() == 1; }, 10s));
  EXPECT_EQ(got_[0].kind, 1);
  EXPECT_LT(network_.clock().now() - asked, 40ms)
      << "it waits behind more than the frames in flight";
  network_.run_for(10s);
  ASSERT_EQ(got_.size(), 3u);
  EXPECT_EQ(got_[1].kind, 3);
  EXPECT_EQ(got_[2].kind, 4);
  EXPECT_EQ(to_bytes(got_[2].payload.view()), pattern(3'000'000, 4));
}

TEST_F(ChannelTest, TakesBackAMessageThatMissesItsDeadline) {
  open(8e6);
  const Time now = network_.clock().now();
  a_->send(message(Lane::kBulk, 2'000'000, 1), now + 200ms, done());  // begins, cannot end
  a_->send(message(Lane::kBulk, 100, 2), now + 100ms, done());        // never begins
  a_->send(message(Lane::kBulk, 1000, 3), kNoDeadline, done());
  network_.run_for(10s);
  ASSERT_EQ(done_.size(), 3u);
  EXPECT_EQ(done_[0].error().code, Code::kTimedOut);
  EXPECT_EQ(done_[1].error().code, Code::kTimedOut);
  EXPECT_TRUE(done_[2].ok());
  ASSERT_EQ(got_.size(), 1u);
  EXPECT_EQ(got_[0].kind, 3);
  EXPECT_TRUE(closed_b_.empty());
}

TEST_F(ChannelTest, RefusesToSendOverTheLimits) {
  open(0, {.max_payload = 1000});
  a_->send(message(Lane::kBulk, 1001), kNoDeadline, done());
  Message long_header;
  long_header.header = Bytes(kMaxMessageHeader + 1);
  a_->send(std::move(long_header), kNoDeadline, done());
  a_->send(message(Lane::kBulk, 1000), kNoDeadline, done());
  network_.run_for(1s);
  ASSERT_EQ(done_.size(), 3u);
  EXPECT_EQ(done_[0].error().code, Code::kUsage);
  EXPECT_EQ(done_[1].error().code, Code::kUsage);
  EXPECT_TRUE(done_[2].ok());
  EXPECT_EQ(got_.size(), 1u);
}

TEST_F(ChannelTest, DrainsBeforeItCloses) {
  open(80e6);
  for (int i = 0; i < 20; ++i) a_->send(message(Lane::kGradient, 200'000), kNoDeadline, done());
  a_->close(true);
  network_.run_for(0ms);
  a_->send(message(Lane::kControl, 1), kNoDeadline, done());
  network_.run_for(10s);
  EXPECT_EQ(got_.size(), 20u);
  ASSERT_EQ(done_.size(), 21u);
  EXPECT_EQ(std::count_if(done_.begin(), done_.end(), [](const Status& s) { return s.ok(); }), 20);
  ASSERT_EQ(closed_a_.size(), 1u);
  EXPECT_EQ(closed_a_[0].code, Code::kClosed);
  EXPECT_EQ(closed_b_.size(), 1u);
}

TEST_F(ChannelTest, ClosesAtOnceWithoutDraining) {
  open(8e6);
  for (int i = 0; i < 20; ++i) a_->send(message(Lane::kGradient, 200'000), kNoDeadline, done());
  network_.run_for(50ms);
  a_->close(false);
  network_.run_for(1s);
  ASSERT_EQ(done_.size(), 20u);
  for (const Status& status : done_) EXPECT_EQ(status.error().code, Code::kClosed);
  EXPECT_EQ(closed_a_.size(), 1u);
}

TEST_F(ChannelTest, CompletesEverythingWhenItIsDestroyed) {
  open(8e6);
  for (int i = 0; i < 20; ++i) a_->send(message(Lane::kGradient, 200'000), kNoDeadline, done());
  a_.reset();
  EXPECT_EQ(done_.size(), 20u);
  EXPECT_TRUE(closed_a_.empty());
}

struct Hostile {
  const char* name;
  std::vector<std::pair<RecordHeader, Bytes>> records;
  bool accepted;
};

Bytes prefix(std::uint8_t lane, std::uint32_t header, std::uint64_t payload, std::size_t body) {
  Bytes out(16 + body);
  store(out.data(), std::uint16_t{5});
  store(out.data() + 2, lane);
  store(out.data() + 4, header);
  store(out.data() + 8, payload);
  return out;
}

TEST_F(ChannelTest, ClosesOnEveryViolation) {
  constexpr std::uint8_t kFirst = 1, kLast = 2, kAbort = 4;
  const std::uint64_t huge = std::uint64_t{1} << 62;
  const Hostile table[] = {
      {"whole message", {{{kFirst | kLast, 1, 0}, prefix(0, 2, 3, 5)}}, true},
      {"two fragments", {{{kFirst, 1, 0}, prefix(0, 2, 3, 1)}, {{kLast, 1, 0}, Bytes(4)}}, true},
      {"abort", {{{kFirst, 1, 0}, prefix(0, 2, 3, 1)}, {{kAbort, 1, 0}, Bytes(1)}}, true},
      {"largest", {{{kFirst, 1, 0}, prefix(3, 16384, 1000, 9)}}, true},
      {"unknown flag", {{{kFirst | 8, 1, 0}, prefix(0, 0, 1, 1)}}, false},
      {"first and abort", {{{kFirst | kAbort, 1, 0}, prefix(0, 0, 9, 1)}}, false},
      {"last and abort",
       {{{kFirst, 1, 0}, prefix(0, 0, 2, 1)}, {{kLast | kAbort, 1, 0}, Bytes(1)}},
       false},
      {"short prefix", {{{kFirst, 1, 0}, Bytes(15)}}, false},
      {"no such lane", {{{kFirst, 1, 0}, prefix(4, 0, 9, 1)}}, false},
      {"header over the limit", {{{kFirst, 1, 0}, prefix(0, 16385, 0, 1)}}, false},
      {"payload over the limit", {{{kFirst, 1, 0}, prefix(0, 0, 1001, 1)}}, false},
      {"payload of 4 EiB", {{{kFirst, 1, 0}, prefix(0, 0, huge, 1)}}, false},
      {"longer than said", {{{kFirst | kLast, 1, 0}, prefix(0, 0, 3, 4)}}, false},
      {"ends early", {{{kFirst | kLast, 1, 0}, prefix(0, 0, 3, 2)}}, false},
      {"does not end", {{{kFirst, 1, 0}, prefix(0, 0, 3, 3)}}, false},
      {"fragment of nothing", {{{0, 1, 0}, Bytes(3)}}, false},
      {"abort of nothing", {{{kAbort, 1, 0}, Bytes(1)}}, false},
      {"two in one lane",
       {{{kFirst, 1, 0}, prefix(0, 0, 3, 1)}, {{kFirst, 2, 0}, prefix(0, 0, 3, 1)}},
       false},
      {"another epoch", {{{kFirst, 1, 0}, prefix(0, 0, 3, 1)}, {{kLast, 1, 1}, Bytes(2)}}, false},
      {"id goes back",
       {{{kFirst | kLast, 2, 0}, prefix(0, 0, 1, 1)}, {{kFirst | kLast, 2, 0}, prefix(0, 0, 1, 1)}},
       false},
  };
  for (const Hostile& row : table) {
    SCOPED_TRACE(row.name);
    closed_b_.clear();
    std::tie(link_a_, link_b_) = network_.connect("a", "b", {});
    auto attacker = PlainChannelForTests::records(std::move(link_a_));
    attacker->start_records([](const RecordHeader&, BytesView) {}, [](const Error&) {});
    b_ = PlainChannelForTests::create(std::move(link_b_), {.max_payload = 1000});
    b_->start([](const Message&) {}, [this](const Error& why) { closed_b_.push_back(why); });
    for (const auto& [header, body] : row.records) {
      const BytesView piece(body);
      attacker->send_record(header, {&piece, 1}, kNoDeadline, nullptr);
    }
    network_.run_for(1s);
    EXPECT_EQ(closed_b_.empty(), row.accepted);
    if (!closed_b_.empty()) {
      EXPECT_EQ(closed_b_[0].code, Code::kProto) << closed_b_[0].text();
    }
  }
}

}  // namespace
}  // namespace reef::link
