// What an outer store is made of, alone: its post, the guard of its losses, the pace of its
// tellings.

#include <gtest/gtest.h>

#include <limits>

#include "actors/store/local_steps/loss_guard.h"
#include "actors/store/local_steps/pace.h"
#include "actors/store/local_steps/post.h"

namespace reef::actors {
namespace {

TEST(LossGuard, AsksWhenALossHasRisenTwiceInARow) {
  LossGuard guard(0.02);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Row {
    double loss;
    bool asks;
  };
  for (const Row& row : {Row{3.0, false}, Row{2.0, false}, Row{2.03, false}, Row{2.05, false},
                         Row{2.0, false}, Row{2.05, false}, Row{2.06, true}, Row{2.05, false},
                         Row{2.05, true}, Row{1.9, false}, Row{nan, false}, Row{nan, true}})
    EXPECT_EQ(guard.evaluated(row.loss), row.asks) << row.loss;
  LossGuard none(0);
  for (const double loss : {1.0, 2.0, 3.0}) EXPECT_FALSE(none.evaluated(loss));
}

TEST(Pace, FollowsALine) {
  Pace pace(1, 1);
  pace.behind();
  pace.behind();  // the same line, said by another
  EXPECT_EQ(pace.every(), 2u);
  pace.told();
  pace.behind();
  EXPECT_EQ(pace.every(), 4u);
  const auto tell = [&pace](bool half) {
    pace.told();
    for (std::uint32_t since = 1; since <= 4; ++since)
      pace.due(since, half ? since >= 1 : since > 2);
  };
  for (int i = 0; i < 10; ++i) tell(false);
  EXPECT_EQ(pace.every(), 4u);  // in more than half the interval: as often would be too much
  tell(true);
  tell(false);
  tell(true);
  EXPECT_EQ(pace.every(), 4u);  // not twice in a row
  tell(true);
  EXPECT_EQ(pace.every(), 2u);
  pace.told();
  pace.behind();  // too early: next time it takes longer
  EXPECT_EQ(pace.every(), 4u);
  for (int i = 0; i < 3; ++i) tell(true);
  EXPECT_EQ(pace.every(), 4u);
  tell(true);
  EXPECT_EQ(pace.every(), 2u);
  for (int i = 0; i < 20; ++i) pace.told(), pace.behind();
  EXPECT_EQ(pace.every(), Pace::kSlowest);
}

/// Each fragment once in so many of its due dates, and not all at the same.
TEST(Pace, TakesTurns) {
  for (const std::uint32_t every : {1, 2, 4, 64}) {
    for (std::uint32_t fragment = 0; fragment < 5; ++fragment) {
      int told = 0;
      for (std::uint64_t number = 100; number < 100 + every; ++number)
        told += Pace::is_told(number, fragment, every);
      EXPECT_EQ(told, 1);
    }
  }
  EXPECT_FALSE(Pace::is_told(8, 1, 2));
  EXPECT_TRUE(Pace::is_told(8, 0, 2));
  for (const std::uint64_t every : {0, 3, 6, 128}) EXPECT_FALSE(Pace::is_one(every)) << every;
}

TEST(Post, ThrowsAwayWhatIsMoreThanAnybodyHasToSay) {
  Post post(100 + 2 * sizeof(Post::Event));
  const auto letter = [](std::uint32_t island, std::size_t bytes) {
    Post::Event event{island, std::nullopt, {}};
    event.letter.payload.resize(bytes);
    return event;
  };
  post.put(letter(1, 60));
  post.put(letter(2, 60));
  post.put(letter(1, 60));
  const auto events = post.take();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].island, 2u);
  EXPECT_EQ(events[1].present, false);
  EXPECT_EQ(events[2].present, true);
  post.put(letter(1, 60));
  EXPECT_EQ(post.take().size(), 1u);
}

}  // namespace
}  // namespace reef::actors
