#include "runtime/link/probe.h"

#include <gtest/gtest.h>

#include <optional>

#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;

class Probe : public testing::Test {
 protected:
  /// Each connection carries `rate` bits per second.
  OpenChannel over_lines(double rate, Duration delay) {
    return [this, rate, delay](std::uint16_t streams, auto opened) {
      sim::Line line;
      line.bits_per_second = rate;
      line.delay = delay;
      std::vector<std::unique_ptr<Link>> ours, theirs;
      for (int i = 0; i <= streams; ++i) {
        auto [a, b] = network_.connect("a", "b", line);
        ours.push_back(std::move(a));
        theirs.push_back(std::move(b));
      }
      servers_.push_back(std::make_unique<ProbeServer>(
          PlainChannelForTests::create(std::move(theirs)), [this] { ++over_; }));
      opened(PlainChannelForTests::create(std::move(ours)));
    };
  }
  Result<LineReport> run(ProbeOptions options, OpenChannel open) {
    std::optional<Result<LineReport>> result;
    measure(network_, std::move(options), std::move(open),
            [&result](auto report) { result.emplace(std::move(report)); });
    EXPECT_TRUE(network_.run_while_not([&] { return result.has_value(); }, 120s));
    network_.run_for(1s);
    return std::move(*result);
  }

  sim::SimNetwork network_{1};
  std::vector<std::unique_ptr<ProbeServer>> servers_;
  int over_ = 0;
};

TEST_F(Probe, MeasuresRateAndRoundTrip) {
  const auto report = run({.streams = {1, 3}}, over_lines(8e6, 40ms));
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_GE(report->round_trip, 80ms);
  EXPECT_LT(report->round_trip, 81ms);
  EXPECT_LE(report->fastest, report->round_trip);
  ASSERT_EQ(report->trials.size(), 2u);
  EXPECT_NEAR(report->trials[0].rate, 8e6, 0.03 * 8e6);
  EXPECT_NEAR(report->trials[1].rate, 24e6, 0.03 * 24e6);
  EXPECT_EQ(report->trials[1].streams, 3);
  EXPECT_GT(report->trials[1].echoes, 90u);
  EXPECT_LT(report->trials[1].round_trip, 81ms) << "control has a connection of its own";
  EXPECT_EQ(report->best().streams, 3);
  EXPECT_EQ(over_, 2) << "each trial's channel is closed";
}

TEST_F(Probe, PrefersFewStreamsWhereMoreGainNothing) {
  LineReport report;
  report.trials = {{.streams = 1, .rate = 10e6},
                   {.streams = 2, .rate = 48.6e6},
                   {.streams = 4, .rate = 50e6},
                   {.streams = 8, .rate = 49e6}};
  EXPECT_EQ(report.best().streams, 2);
}

TEST_F(Probe, SaysWhyItCouldNot) {
  const auto report = run({}, [](std::uint16_t, auto opened) {
    opened(Error{Code::kPeerLost, "b", "nobody answers"});
  });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::kPeerLost);
}

TEST_F(Probe, EndsWhenTheLineIsCut) {
  auto open = over_lines(8e6, 40ms);
  network_.at(network_.clock().now() + 2s, [this] { servers_.clear(); });
  const auto report = run({}, open);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::kPeerLost);
}

TEST_F(Probe, AnswersNothingButItsOwnQuestions) {
  const auto is_closed_for = [this](std::uint16_t kind, std::size_t size) {
    auto [a, b] = network_.connect("a", "b", {});
    ProbeServer server(PlainChannelForTests::create(std::move(b)), [] {});
    const auto client = PlainChannelForTests::create(std::move(a));
    bool closed = false;
    client->start([](const Message&) {}, [&closed](const Error&) { closed = true; });
    Message message;
    message.kind = kind;
    message.payload = Payload(Bytes(size));
    client->send(std::move(message), kNoDeadline, nullptr);
    network_.run_for(1s);
    return closed;
  };
  EXPECT_FALSE(is_closed_for(1, 64));  // an echo
  EXPECT_TRUE(is_closed_for(1, 65)) << "what is sent back must be small";
  EXPECT_FALSE(is_closed_for(2, 1));  // a tally
  EXPECT_TRUE(is_closed_for(2, 0));
  EXPECT_FALSE(is_closed_for(3, 1'000'000));  // a load
  EXPECT_TRUE(is_closed_for(4, 1));
}

TEST_F(Probe, BelievesNoAnswerOfAnotherKind) {
  std::unique_ptr<Channel> liar;
  const auto report = run({}, [&](std::uint16_t, auto opened) {
    auto [a, b] = network_.connect("a", "b", {});
    liar = PlainChannelForTests::create(std::move(b));
    liar->start(
        [&liar](Message message) {
          message.payload = Payload(Bytes(3));
          liar->send(std::move(message), kNoDeadline, nullptr);
        },
        [](const Error&) {});
    opened(PlainChannelForTests::create(std::move(a)));
  });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::kProto);
}

TEST_F(Probe, BelievesNoTallyThatCannotBe) {
  struct Case {
    const char* what;
    std::uint64_t bytes, clock;  // of the second tally; the first has 1000 of both
  };
  for (const Case& one :
       {Case{"fewer bytes than before", 999, 2000}, Case{"its clock goes back", 2000, 999},
        Case{"its clock stands", 2000, 1000}, Case{"faster than light", ~std::uint64_t{0}, 1001}}) {
    std::unique_ptr<Channel> liar;
    std::uint64_t tallies = 0;
    const auto report = run({}, [&](std::uint16_t, auto opened) {
      sim::Line line;
      line.bits_per_second = 8e6;
      auto [a, b] = network_.connect("a", "b", line);
      liar = PlainChannelForTests::create(std::move(b));
      liar->start(
          [&](Message message) {
            if (message.payload.size() != 1) return;  // not asked for a tally
            Bytes tally(16);
            const bool first = tallies++ == 0;
            store(tally.data(), first ? std::uint64_t{1000} : one.bytes);
            store(tally.data() + 8, first ? std::uint64_t{1000} : one.clock);
            message.payload = Payload(std::move(tally));
            liar->send(std::move(message), kNoDeadline, nullptr);
          },
          [](const Error&) {});
      opened(PlainChannelForTests::create(std::move(a)));
    });
    ASSERT_FALSE(report.ok()) << one.what;
    EXPECT_EQ(report.error().code, Code::kProto) << one.what;
    EXPECT_EQ(tallies, 2u) << one.what;
  }
}

TEST_F(Probe, EndsWhenThePeerLivesButDoesNotAnswer) {
  std::unique_ptr<Channel> silent;
  const auto report = run({}, [&](std::uint16_t, auto opened) {
    sim::Line line;
    line.bits_per_second = 8e6;
    auto [a, b] = network_.connect("a", "b", line);
    silent = PlainChannelForTests::create(std::move(b));
    silent->start([](const Message&) {}, [](const Error&) {});
    opened(PlainChannelForTests::create(std::move(a)));
  });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::kTimedOut);
}

}  // namespace
}  // namespace reef::link
