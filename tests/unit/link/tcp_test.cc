#include "runtime/link/tcp/tcp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;

TEST(Tcp, NamesAnAddressInUse) {
  Loop loop;
  auto first = tcp::Listener::listen(loop, "127.0.0.1", 0, [](auto) {});
  ASSERT_TRUE(first.ok());
  auto second = tcp::Listener::listen(loop, "127.0.0.1", (*first)->port(), [](auto) {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::kAddressInUse);
  EXPECT_EQ(second.error().where, "127.0.0.1:" + std::to_string((*first)->port()));
}

TEST(Tcp, SaysThatNobodyAnswers) {
  Loop loop;
  std::uint16_t port;
  {
    auto listener = tcp::Listener::listen(loop, "127.0.0.1", 0, [](auto) {});
    port = (*listener)->port();  // free again at the end of the scope
  }
  Meeting meeting;
  std::vector<Code> codes;
  const auto keep = [&](Result<std::unique_ptr<Link>> link) {
    meeting.change([&] { codes.push_back(link.ok() ? Code::kInternal : link.error().code); });
  };
  tcp::dial(loop, "127.0.0.1", port, kNoDeadline, keep);
  ASSERT_TRUE(meeting.wait([&] { return codes.size() == 1; }, nullptr));
  tcp::dial(loop, "no such host.invalid", port, kNoDeadline, keep);
  ASSERT_TRUE(meeting.wait([&] { return codes.size() == 2; }, nullptr));
  EXPECT_EQ(codes, (std::vector{Code::kPeerLost, Code::kPath}));
}

TEST(Tcp, ClosesStrangersBeyondTheirShare) {
  Loop loop;
  Meeting meeting;
  std::vector<std::unique_ptr<Link>> accepted, dialled;
  int closed = 0;
  auto listener = tcp::Listener::listen(loop, "127.0.0.1", 0, [&](std::unique_ptr<Link> link) {
    meeting.change([&] { accepted.push_back(std::move(link)); });
  });
  const auto dial = [&](int count) {
    for (int i = 0; i < count; ++i) {
      tcp::dial(loop, "127.0.0.1", (*listener)->port(), kNoDeadline, [&](auto link) {
        (*link)->start([](const Bytes&) {},
                       [&](const Error&) { meeting.change([&] { ++closed; }); });
        dialled.push_back(std::move(*link));
      });
    }
  };
  const tcp::GateLimits limits;
  dial(static_cast<int>(limits.half_open) + 20);
  ASSERT_TRUE(meeting.wait([&] { return closed >= 1; }, nullptr));
  ASSERT_TRUE(
      meeting.wait([&] { return accepted.size() + closed == limits.half_open + 20; }, nullptr));
  EXPECT_EQ(accepted.size(), limits.half_open);
  loop.call([&] {
    for (auto& link : accepted) link->set_frame_limit(kMaxFrame);  // they have proven themselves
  });
  const std::size_t before = accepted.size();
  // By then the rate's allowance has grown by five.
  loop.at(loop.clock().now() + 100ms, [&] { dial(1); });
  ASSERT_TRUE(meeting.wait([&] { return accepted.size() == before + 1; }, nullptr));
  loop.call([&] {
    accepted.clear();
    dialled.clear();
  });
}

TEST(Tcp, NamesCongestionControlsThatThereAre) {
  EXPECT_TRUE(tcp::check({}).ok());
  EXPECT_TRUE(tcp::check({.congestion = "cubic"}).ok());
  const Status status = tcp::check({.congestion = "nosuch"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUsage);
  EXPECT_NE(status.error().what.find("cubic"), std::string::npos) << status.error().text();
}

TEST(Tcp, CompletesADialWhenTheLoopStops) {
  int told = 0;
  {
    Loop loop;
    auto listener = tcp::Listener::listen(loop, "127.0.0.1", 0, [](auto) {});
    // The loop stops before or after the answer; either way `done` runs once.
    tcp::dial(loop, "127.0.0.1", (*listener)->port(), kNoDeadline, [&told](auto) { ++told; });
    loop.stop();
  }
  EXPECT_EQ(told, 1);
}

TEST(Loop, DoesWhatBlocksInOrderOnOneOtherThreadAndAllBeforeItStops) {
  std::vector<int> done;
  std::set<std::thread::id> threads;
  {
    Loop loop;
    for (int i = 0; i < 100; ++i) {
      loop.run_blocking([&, i] {
        done.push_back(i);
        threads.insert(std::this_thread::get_id());
      });
    }
  }
  ASSERT_EQ(done.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(Loop, RunsTimersInOrderAndForgetsCancelledOnes) {
  Loop loop;
  Meeting meeting;
  std::vector<int> ran;
  const auto mark = [&](int value) {
    return [&, value] { meeting.change([&] { ran.push_back(value); }); };
  };
  const Time now = loop.clock().now();
  loop.at(now + 20ms, mark(2));
  loop.at(now + 10ms, mark(1));
  loop.cancel(loop.at(now + 15ms, mark(9)));
  loop.at(now + 20ms, mark(3));
  ASSERT_TRUE(meeting.wait([&] { return ran.size() == 3; }, nullptr));
  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
}

}  // namespace
}  // namespace reef::link
