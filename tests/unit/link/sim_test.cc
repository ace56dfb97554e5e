#include "runtime/link/sim/sim.h"

#include <gtest/gtest.h>

#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;

/// Arrival times of some frames over a line, for a seed.
std::vector<Time> arrivals(std::uint64_t seed, const sim::Line& line) {
  sim::SimNetwork network(seed);
  auto [a, b] = network.connect("a", "b", line);
  std::vector<Time> times;
  b->start([&](const Bytes&) { times.push_back(network.clock().now()); }, nullptr);
  for (int i = 0; i < 50; ++i) a->send(Bytes(998), kNoDeadline, nullptr);
  network.run_for(10s);
  return times;
}

TEST(Sim, IsTheSameForTheSameSeed) {
  sim::Line line;
  line.jitter = 5ms;
  line.loss = 0.1;
  EXPECT_EQ(arrivals(1, line), arrivals(1, line));
  EXPECT_NE(arrivals(1, line), arrivals(2, line));
  EXPECT_EQ(arrivals(1, line).size(), 50u);
}

TEST(Sim, KeepsDelayAndRate) {
  sim::Line line;
  line.delay = 20ms;
  line.bits_per_second = 8e6;  // 1000 bytes with their length take 1 ms
  const auto times = arrivals(1, line);
  ASSERT_EQ(times.size(), 50u);
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i], Time() + 20ms + std::chrono::milliseconds(i + 1));
  }
}

TEST(Sim, HoldsEverythingDuringAPartitionAndNothingAfter) {
  sim::SimNetwork network(1);
  auto [a, b] = network.connect("a", "b", {});
  int got = 0;
  b->start([&](const Bytes&) { ++got; }, nullptr);
  network.partition("b", "a");
  for (int i = 0; i < 5; ++i) a->send(Bytes(10), kNoDeadline, nullptr);
  network.run_for(1h);
  EXPECT_EQ(got, 0);
  network.heal("a", "b");
  network.run_for(1s);
  EXPECT_EQ(got, 5);
}

TEST(Sim, CutEndsBothSidesWithPeerLost) {
  sim::SimNetwork network(1);
  auto [a, b] = network.connect("a", "b", {});
  std::vector<Error> closed;
  for (Link* link : {a.get(), b.get()}) {
    link->start([](const Bytes&) {}, [&](const Error& why) { closed.push_back(why); });
  }
  network.run_for(1ms);
  network.cut("a", "b");
  ASSERT_EQ(closed.size(), 2u);
  for (const Error& why : closed) EXPECT_EQ(why.code, Code::kPeerLost);
}

TEST(Sim, SealedSilenceTimesOut) {
  sim::SimNetwork network(1);
  auto [a, b] = network.connect("a", "b", {});
  const Identities identities;
  std::unique_ptr<secure::SecureLink> left, right;
  secure::accept(std::move(b), identities.scheduler_local(), kNoDeadline,
                 [&](auto link) { right = std::move(link).value(); });
  secure::connect(std::move(a), identities.node_local(), identities.expected(), {}, kNoDeadline,
                  [&](auto link) { left = std::move(link).value(); });
  std::vector<Error> closed;
  ASSERT_TRUE(network.run_while_not([&] { return left && right; }, 1s));
  for (Link* link : {static_cast<Link*>(left.get()), static_cast<Link*>(right.get())}) {
    link->start([](const Bytes&) {}, [&](const Error& why) { closed.push_back(why); });
  }
  network.run_for(10min);
  EXPECT_TRUE(closed.empty()) << "PING does not keep a quiet line";
  network.partition("a", "b");
  network.run_for(30s);
  ASSERT_EQ(closed.size(), 2u);
  for (const Error& why : closed) EXPECT_EQ(why.code, Code::kTimedOut);
}

}  // namespace
}  // namespace reef::link
