#include "runtime/link/channel/channel.h"

#include <gtest/gtest.h>

#include "runtime/link/channel/inbox.h"
#include "runtime/link/channel/streams.h"
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
  std::vector<Message> got_;
  std::vector<Status> done_;
  std::vector<Error> closed_a_, closed_b_;
  std::unique_ptr<Link> link_a_, link_b_;
  std::unique_ptr<Channel> a_, b_;  // the first to go: they complete what is on its way
};

TEST_F(ChannelTest, CarriesMessagesOfEverySizeOverASealedLink) {
  auto [left, right] = network_.connect("a", "b", {});
  const Identities identities;
  secure::accept(std::move(right), identities.scheduler_local(), kNoDeadline,
                 [&](auto link) { b_ = Channel::create(std::move(link).value()); });
  secure::connect(std::move(left), identities.node_local(), identities.expected(), {}, kNoDeadline,
                  [&](auto link) { a_ = Channel::create(std::move(link).value()); });
  ASSERT_TRUE(network_.run_while_not([&] { return a_ && b_; }, 1s));
  start();
  const std::size_t frame = 65535 - 36 - 24;
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

TEST_F(ChannelTest, LetsAnUrgentLaneOvertakeOnASlowLine) {
  open(2e6);  // the largest fragment would take 262 ms, the least takes 66
  a_->send(message(Lane::kBulk, 3'000'000, 4), kNoDeadline, done());
  network_.run_for(3s);
  a_->send(message(Lane::kControl, 10, 1), kNoDeadline, done());
  const Time asked = network_.clock().now();
  ASSERT_TRUE(network_.run_while_not([&] { return got_.size() == 1; }, 10s));
  EXPECT_EQ(got_[0].kind, 1);
  EXPECT_LT(network_.clock().now() - asked, 70ms);
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

/// Five streams of which no two are alike.
class StreamsTest : public ChannelTest {
 protected:
  void open_streams(double slower = 1) {
    const Identities identities;
    Streams left(5);
    StreamGatherer gatherer(network_,
                            [this](Streams all) { b_ = Channel::create(std::move(all)); });
    for (std::uint16_t i = 0; i < 5; ++i) {
      sim::Line line;
      line.bits_per_second = 8e6 * (i + 1) / slower;
      line.delay = (50 - 10 * i) * 1ms;
      auto [a, b] = network_.connect("a", "b", line);
      secure::accept(std::move(b), identities.scheduler_local(), kNoDeadline,
                     [&](auto link) { gatherer.add(std::move(link).value()); });
      secure::connect(std::move(a), identities.node_local(), identities.expected(),
                      {.stream = i, .streams = 5, .bundle = {std::byte{1}}}, kNoDeadline,
                      [&left, i](auto link) { left[i] = std::move(link).value(); });
    }
    const auto ready = [&] {
      return b_ &&
             std::all_of(left.begin(), left.end(), [](auto& link) { return link != nullptr; });
    };
    ASSERT_TRUE(network_.run_while_not(ready, 2s));
    a_ = Channel::create(std::move(left));
    start();
  }
};

TEST_F(StreamsTest, KeepTheOrderOfALane) {
  open_streams();
  for (std::uint16_t i = 0; i < 200; ++i) {
    a_->send(message(static_cast<Lane>(1 + i % 3), i % 7 == 0 ? 500'000 : 1 + 10 * i, i),
             kNoDeadline, done());
  }
  network_.run_for(60s);
  ASSERT_EQ(got_.size(), 200u);
  ASSERT_EQ(done_.size(), 200u);
  std::array<int, kLanes> last{-1, -1, -1, -1};
  for (const Message& m : got_) {
    int& before = last[static_cast<std::size_t>(m.lane)];
    EXPECT_GT(int{m.kind}, before);
    before = m.kind;
    EXPECT_EQ(to_bytes(m.payload.view()),
              pattern(m.kind % 7 == 0 ? 500'000 : 1 + 10 * m.kind, m.kind));
    EXPECT_EQ(m.header, pattern(m.kind % 50, m.kind));
  }
}

TEST_F(StreamsTest, FillAllLinesAtOnce) {
  open_streams();
  const std::size_t size =
      22'000'000;  // 176 Mbit; the four data lines carry 16 + 24 + 32 + 40 Mbit/s
  for (int i = 0; i < 4; ++i) a_->send(message(Lane::kBulk, size / 4, 1), kNoDeadline, done());
  const Time began = network_.clock().now();
  ASSERT_TRUE(network_.run_while_not([&] { return got_.size() == 4; }, 10s));
  EXPECT_LT(network_.clock().now() - began, 1750ms) << "1,571 ms would be all lines full";
}

TEST_F(StreamsTest, EndAMessageTogether) {
  open_streams(16);
  const auto send_and_wait = [this] {
    const std::size_t before = got_.size();
    const Time began = network_.clock().now();
    a_->send(message(Lane::kBulk, 1'000'000, 1), kNoDeadline, done());
    EXPECT_TRUE(network_.run_while_not([&] { return got_.size() > before; }, 10s));
    return network_.clock().now() - began;
  };
  send_and_wait();  // what streams are handed fits them from here on
  // 8 Mbit over data lines of 1 + 1.5 + 2 + 2.5 Mbit/s; the slowest takes 131 ms for the least
  // fragment, and would take 2.1 s for what a fast one is handed at once.
  for (int i = 0; i < 3; ++i) EXPECT_LT(send_and_wait(), 1143ms + 40ms + 131ms);
}

TEST_F(StreamsTest, HoldControlBackBehindNothing) {
  open_streams();
  a_->send(message(Lane::kBulk, 50'000'000, 4), kNoDeadline, done());
  network_.run_for(1s);
  const Time asked = network_.clock().now();
  a_->send(message(Lane::kControl, 64, 1), kNoDeadline, done());
  ASSERT_TRUE(network_.run_while_not([&] { return got_.size() == 1; }, 1s));
  EXPECT_LT(network_.clock().now() - asked, 52ms) << "the line's delay is 50";
}

TEST_F(StreamsTest, TakeBackAMessageThatMissesItsDeadline) {
  open_streams();
  const Time now = network_.clock().now();
  a_->send(message(Lane::kBulk, 20'000'000, 1), now + 300ms, done());
  a_->send(message(Lane::kBulk, 300'000, 2), kNoDeadline, done());
  network_.run_for(10s);
  ASSERT_EQ(got_.size(), 1u);
  EXPECT_EQ(got_[0].kind, 2);
  EXPECT_EQ(to_bytes(got_[0].payload.view()), pattern(300'000, 2));
  EXPECT_EQ(done_.size(), 2u);
  EXPECT_TRUE(closed_b_.empty());
}

TEST_F(StreamsTest, DeliverEverythingBeforeAFarewell) {
  open_streams();
  for (int i = 0; i < 20; ++i) a_->send(message(Lane::kGradient, 200'000), kNoDeadline, done());
  a_->close(true);
  network_.run_for(10s);
  EXPECT_EQ(got_.size(), 20u);
  ASSERT_EQ(closed_a_.size(), 1u);
  ASSERT_EQ(closed_b_.size(), 1u);
  EXPECT_EQ(closed_b_[0].code, Code::kClosed);
}

/// Bundles in the hands of an acceptor: of which links are complete channels made?
class Gathering : public testing::Test {
 protected:
  /// One more link dialled by the node; what becomes of the dialler's end.
  void dial(const secure::StreamId& id) {
    auto [a, b] = network_.connect("a", "b", {});
    secure::accept(std::move(b), identities_.scheduler_local(), kNoDeadline, [&](auto link) {
      if (link.ok()) gatherer_.add(std::move(*link));
    });
    secure::connect(std::move(a), identities_.node_local(), identities_.expected(), id, kNoDeadline,
                    [&](auto link) {
                      if (!link.ok()) return;
                      (*link)->start([](const Bytes&) {}, [this](const Error&) { ++closed_; });
                      dialled_.push_back(std::move(*link));
                    });
    network_.run_for(50ms);
  }
  static secure::StreamId stream(std::uint16_t number, std::uint16_t of, int bundle = 1) {
    return {number, of, {static_cast<std::byte>(bundle), static_cast<std::byte>(bundle >> 8)}};
  }

  sim::SimNetwork network_{1};
  Identities identities_;
  std::vector<std::size_t> complete_;
  std::vector<Streams> kept_;
  StreamGatherer gatherer_{network_, [this](Streams all) {
                             complete_.push_back(all.size());
                             kept_.push_back(std::move(all));
                           }};
  int closed_ = 0;
  std::vector<std::unique_ptr<secure::SecureLink>> dialled_;
};

TEST_F(Gathering, CompletesBundlesInAnyOrder) {
  dial(stream(2, 3, 1));
  dial(stream(0, 2, 2));
  dial(stream(0, 3, 1));
  dial(stream(0, 1, 0));
  dial(stream(1, 2, 2));
  dial(stream(1, 3, 1));
  EXPECT_EQ(complete_, (std::vector<std::size_t>{1, 2, 3}));
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    for (std::size_t k = 0; k < kept_[i].size(); ++k) EXPECT_EQ(kept_[i][k]->stream().stream, k);
  }
  network_.run_for(10s);
  EXPECT_EQ(closed_, 0);
}

TEST_F(Gathering, ClosesWhatDoesNotBelong) {
  dial(stream(0, 3));
  dial(stream(0, 3));  // twice
  EXPECT_EQ(closed_, 2);
  dial(stream(0, 3));
  dial(stream(1, 4));  // of four
  EXPECT_EQ(closed_, 4);
  EXPECT_TRUE(complete_.empty());
}

TEST_F(Gathering, ClosesAnIncompleteBundle) {
  dial(stream(0, 3));
  dial(stream(1, 3));
  network_.run_for(4s);
  EXPECT_EQ(closed_, 0);
  network_.run_for(2s);
  EXPECT_EQ(closed_, 2);
}

TEST_F(Gathering, BoundsIncompleteBundles) {
  for (int i = 0; i <= static_cast<int>(StreamGatherer::kMostOfOne); ++i) dial(stream(0, 2, i));
  EXPECT_EQ(closed_, 1);
}

TEST_F(Gathering, RefusesImpossibleStreams) {
  dial(stream(3, 3));
  dial(stream(0, 0));
  dial(stream(0, secure::kMaxStreams + 1));
  network_.run_for(6s);
  EXPECT_TRUE(dialled_.empty());
  EXPECT_TRUE(complete_.empty());
}

struct Hostile {
  const char* name;
  std::vector<std::pair<RecordHeader, Bytes>> records;
  bool accepted;
};

/// The body of a fragment.
Bytes body(std::uint8_t lane, std::uint32_t header, std::uint64_t payload, std::uint64_t offset,
           std::size_t bytes) {
  Bytes out(kFragmentPrefix + bytes);
  store(out.data(), std::uint16_t{5});
  store(out.data() + 2, lane);
  store(out.data() + 4, header);
  store(out.data() + 8, payload);
  store(out.data() + 16, offset);
  return out;
}

TEST_F(ChannelTest, ClosesOnEveryViolation) {
  const std::uint64_t huge = std::uint64_t{1} << 62;
  Bytes of_another_kind = body(0, 0, 3, 1, 2);
  of_another_kind[0] = std::byte{6};
  Bytes no_zero = body(0, 0, 1, 0, 1);
  no_zero[3] = std::byte{1};
  const Hostile table[] = {
      {"whole message", {{{0, 1, 0}, body(0, 2, 3, 0, 5)}}, true},
      {"empty message", {{{0, 1, 0}, body(0, 0, 0, 0, 0)}}, true},
      {"two fragments", {{{0, 1, 0}, body(0, 2, 3, 0, 1)}, {{0, 1, 0}, body(0, 2, 3, 1, 4)}}, true},
      {"the later first",
       {{{0, 1, 0}, body(0, 2, 3, 1, 4)}, {{0, 1, 0}, body(0, 2, 3, 0, 1)}},
       true},
      {"abort", {{{0, 1, 0}, body(0, 2, 3, 0, 1)}, {{kAbort, 1, 0}, body(0, 2, 3, 1, 0)}}, true},
      {"abort before its fragment",
       {{{kAbort, 1, 0}, body(0, 2, 3, 1, 0)}, {{0, 1, 0}, body(0, 2, 3, 0, 1)}},
       true},
      {"largest", {{{0, 1, 0}, body(3, 16384, 1000, 0, 9)}}, true},
      {"as far ahead as may be", {{{0, kMaxAhead, 0}, body(0, 0, 1, 0, 1)}}, true},
      {"unknown flag", {{{8, 1, 0}, body(0, 0, 1, 0, 1)}}, false},
      {"short prefix", {{{0, 1, 0}, Bytes(kFragmentPrefix - 1)}}, false},
      {"no such lane", {{{0, 1, 0}, body(4, 0, 9, 0, 1)}}, false},
      {"no zero", {{{0, 1, 0}, no_zero}}, false},
      {"no number", {{{0, 0, 0}, body(0, 0, 1, 0, 1)}}, false},
      {"too far ahead", {{{0, kMaxAhead + 1, 0}, body(0, 0, 1, 0, 1)}}, false},
      {"header over the limit", {{{0, 1, 0}, body(0, 16385, 0, 0, 1)}}, false},
      {"payload over the limit", {{{0, 1, 0}, body(0, 0, 1001, 0, 1)}}, false},
      {"payload of 4 EiB", {{{0, 1, 0}, body(0, 0, huge, 0, 1)}}, false},
      {"longer than said", {{{0, 1, 0}, body(0, 0, 3, 0, 4)}}, false},
      {"offset behind the end", {{{0, 1, 0}, body(0, 0, 3, 4, 0)}}, false},
      {"offset of 16 EiB", {{{0, 1, 0}, body(0, 0, 3, ~std::uint64_t{0}, 1)}}, false},
      {"no bytes", {{{0, 1, 0}, body(0, 0, 3, 0, 0)}}, false},
      {"a byte twice", {{{0, 1, 0}, body(0, 0, 4, 0, 2)}, {{0, 1, 0}, body(0, 0, 4, 1, 2)}}, false},
      {"a message twice",
       {{{0, 1, 0}, body(0, 0, 1, 0, 1)}, {{0, 1, 0}, body(0, 0, 1, 0, 1)}},
       false},
      {"abort with bytes", {{{kAbort, 1, 0}, body(0, 0, 3, 1, 1)}}, false},
      {"abort of nothing", {{{kAbort, 1, 0}, body(0, 0, 3, 0, 0)}}, false},
      {"abort of the whole", {{{kAbort, 1, 0}, body(0, 0, 3, 3, 0)}}, false},
      {"abort of what came",
       {{{0, 1, 0}, body(0, 0, 4, 0, 2)}, {{kAbort, 1, 0}, body(0, 0, 4, 1, 0)}},
       false},
      {"more after the abort",
       {{{kAbort, 1, 0}, body(0, 0, 4, 2, 0)}, {{0, 1, 0}, body(0, 0, 4, 2, 1)}},
       false},
      {"another epoch",
       {{{0, 1, 0}, body(0, 0, 3, 0, 1)}, {{0, 1, 1}, body(0, 0, 3, 1, 2)}},
       false},
      {"another kind", {{{0, 1, 0}, body(0, 0, 3, 0, 1)}, {{0, 1, 0}, of_another_kind}}, false},
      {"another length",
       {{{0, 1, 0}, body(0, 0, 3, 0, 1)}, {{0, 1, 0}, body(0, 0, 4, 1, 2)}},
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
