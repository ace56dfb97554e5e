#include "collectives/algorithms/network.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "collectives/algorithms/choose.h"

namespace reef::collectives {
namespace {

constexpr Line kInside{.bits_per_second = 10e9, .round_trip = 50e-6};
constexpr Line kOcean{.bits_per_second = 50e6, .round_trip = 20e-3};
constexpr std::uint64_t kMiB = 1 << 20;

TEST(Network, PredictsOneMessageByRateAndLatency) {
  const Network network = network_of({0, 1}, kInside, kOcean);
  const Schedule schedule = broadcast(2, 0, kMiB, 4 * kMiB);
  EXPECT_NEAR(predict(schedule, network, 4), 4 * kMiB * 8 / 50e6 + 10e-3, 1e-9);
}

TEST(Network, LetsChunksFollowEachOtherAndWaysShareALine) {
  // Down a chain of two lines: with chunks the second line is busy while the first still is.
  Network chain = network_of({0, 0, 0}, kOcean, kOcean);
  Schedule schedule = ring_all_gather(ranks_of(3), 0, 1);
  schedule.elements = {kMiB, kMiB, kMiB};
  const auto hop = [&](Rank from, Rank to, std::uint64_t begin, std::uint64_t end) {
    schedule.steps.push_back({from, to, {begin, end}, begin, Action::kPut});
  };
  hop(0, 1, 0, kMiB);
  hop(1, 2, 0, kMiB);
  const double whole = kMiB * 8 / 50e6;
  EXPECT_NEAR(predict(schedule, chain, 1), 2 * whole + 20e-3, 1e-9);
  schedule.steps.clear();
  for (std::uint64_t at = 0; at < kMiB; at += kMiB / 16) {
    hop(0, 1, at, at + kMiB / 16);
    hop(1, 2, at, at + kMiB / 16);
  }
  EXPECT_NEAR(predict(schedule, chain, 1), whole * 17 / 16 + 20e-3, 1e-9);

  // Two ranks that send over one line take turns.
  const Network shared = network_of({0, 0, 1, 1}, kInside, kOcean);
  Schedule both{"both", 4, {kMiB, kMiB, kMiB, kMiB}, false, {}};
  both.steps = {{0, 2, {0, kMiB}, 0, Action::kPut}, {1, 3, {0, kMiB}, 0, Action::kPut}};
  EXPECT_NEAR(predict(both, shared, 1), 2 * whole + 10e-3, 1e-9);
}

TEST(Choose, TakesAHierarchyOverAnOceanAndSaysByHowMuch) {
  const Network network = network_of({0, 0, 1, 1}, kInside, kOcean);
  AllReduceNeeds needs{.elements = 2 * kMiB, .groups = {{0, 1}, {2, 3}}};
  const auto choices = all_reduce_choices(needs, network);
  ASSERT_EQ(choices.front().schedule.algorithm, "hierarchical");
  const double flat = predict(ring_all_reduce({0, 1, 2, 3}, needs.elements, 64 << 10), network, 4);
  const double alternating =
      predict(ring_all_reduce({0, 2, 1, 3}, needs.elements, 64 << 10), network, 4);
  EXPECT_GT(flat / choices.front().seconds, 1.4);
  EXPECT_GT(alternating / choices.front().seconds, 2.7);

  needs.reproducible = true;
  for (const Choice& choice : all_reduce_choices(needs, network))
    EXPECT_TRUE(choice.schedule.reproducible);
}

TEST(Choose, TakesFewMessagesForLittleAndFewBytesForMuch) {
  const Network network = network_of(std::vector<std::uint32_t>(8), kOcean, kOcean);
  EXPECT_EQ(all_reduce_choices({.elements = 16}, network).front().schedule.algorithm, "doubling");
  const auto much = all_reduce_choices({.elements = 16 * kMiB}, network);
  EXPECT_TRUE(much.front().schedule.algorithm == "halving" ||
              much.front().schedule.algorithm == "ring");
  const auto doubling = std::ranges::find(
      much, "doubling", [](const Choice& choice) { return choice.schedule.algorithm; });
  ASSERT_NE(doubling, much.end());
  EXPECT_GT(doubling->seconds, 1.5 * much.front().seconds);
  // Nobody else can do it for seven and give the same bits.
  const Network seven = network_of(std::vector<std::uint32_t>(7), kOcean, kOcean);
  EXPECT_TRUE(all_reduce_choices({.elements = 16, .reproducible = true}, seven).empty());
  EXPECT_FALSE(all_reduce_choices({.elements = 16}, seven).empty());
}

TEST(RingOrder, KeepsDatacentersTogetherAndShunsTheSlowestLine) {
  const Network mixed = network_of({0, 1, 0, 1, 0, 1}, kInside, kOcean);
  const auto order = ring_order(mixed, kMiB);
  int crossings = 0;
  for (std::size_t i = 0; i < order.size(); ++i)
    crossings += order[i] % 2 != order[(i + 1) % order.size()] % 2;
  EXPECT_EQ(crossings, 2);

  // One pair that hardly hears each other: there are rings without it.
  Network lame = network_of(std::vector<std::uint32_t>(5), kInside, kOcean);
  lame.ways[0 * 5 + 1].seconds_per_byte = lame.ways[1 * 5 + 0].seconds_per_byte = 1e-3;
  const auto around = ring_order(lame, kMiB);
  EXPECT_LT(ring_seconds(around, lame, kMiB), 0.1);
  EXPECT_GT(ring_seconds(ranks_of(5), lame, kMiB), 100);
}

TEST(RingOrder, ImprovesWhatIsTooLargeToTryOut) {
  std::vector<std::uint32_t> groups;
  for (int i = 0; i < 24; ++i) groups.push_back(static_cast<std::uint32_t>(i % 3));
  const Network network = network_of(groups, kInside, kOcean);
  const auto order = ring_order(network, kMiB);
  EXPECT_LT(3.5 * ring_seconds(order, network, kMiB), ring_seconds(ranks_of(24), network, kMiB));
  auto sorted = order;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, ranks_of(24));
}

}  // namespace
}  // namespace reef::collectives
