#include "runtime/base/round.h"

#include <gtest/gtest.h>

#include <vector>

namespace reef {
namespace {

std::vector<Round> all(const RoundSchedule& schedule) {
  std::vector<Round> rounds{schedule.next(nullptr)};
  while (!rounds.back().last && rounds.size() < 1000)
    rounds.push_back(schedule.next(&rounds.back()));
  return rounds;
}

TEST(RoundSchedule, EvaluatesAndSnapshotsWhenDue) {
  const auto rounds = all({.first_step = 0,
                           .steps = 5,
                           .evaluate_every = 2,
                           .evaluation_rounds = 2,
                           .snapshot_every = 3});
  std::vector<std::pair<std::uint64_t, std::uint32_t>> seen;
  std::vector<std::uint64_t> snapshots;
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    EXPECT_EQ(rounds[i].number, i);
    seen.emplace_back(rounds[i].step, rounds[i].evaluation);
    if (rounds[i].snapshot) snapshots.push_back(rounds[i].step);
  }
  const decltype(seen) expected{{1, 0}, {2, 0}, {2, 1}, {2, 2}, {3, 0}, {4, 0},
                                {4, 1}, {4, 2}, {5, 0}, {5, 1}, {5, 2}};
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(snapshots, (std::vector<std::uint64_t>{3, 5}));
}

TEST(RoundSchedule, GoesOnWhereACheckpointStopped) {
  const auto rounds = all({.first_step = 7, .steps = 9});
  ASSERT_EQ(rounds.size(), 2u);
  EXPECT_EQ(rounds[0].step, 8u);
  EXPECT_TRUE(rounds[1].last);
  EXPECT_TRUE(rounds[1].snapshot);
}

}  // namespace
}  // namespace reef
