// Islands that are lost, homes that move, and how all come to their end.

#include <cmath>
#include <random>

#include "tests/unit/actors/ocean.h"

namespace reef::actors {
namespace {

using namespace std::chrono_literals;

TEST(Exchange, OneThatBeginsAnewHasTheOthersWeights) {
  for (const std::uint32_t lost : {0u, 1u}) {  // either is the home of a fragment
    Ocean ocean(2, exact(2, 2));
    for (int step = 0; step < 40; ++step) {
      ocean.step(0, 2.0f);
      ocean.step(1, 2.0f);
    }
    ASSERT_GT(ocean.mean(0), 1.5);
    ocean.connect(lost, false);
    ocean.lose(lost);
    for (int step = 0; step < 4; ++step) ocean.step(1 - lost, 2.0f);
    ocean.start(lost, 1, 44);
    ASSERT_EQ(ocean.mean(lost), 0);
    ocean.connect(lost, true);
    for (int round = 0; round < 4; ++round) {
      ocean.meet(lost);
      ocean.meet(1 - lost);
    }
    EXPECT_GT(ocean.mean(lost), 1.5) << lost;
    EXPECT_GT(ocean.mean(1 - lost), 1.5) << lost;
    for (int step = 0; step < 20; ++step) {
      ocean.step(0, 2.0f);
      ocean.step(1, 2.0f);
    }
    settle(ocean, {0, 1});
    EXPECT_LT(ocean.distance(0, 1), 1e-5) << lost;
    EXPECT_NEAR(ocean.mean(0), 2.0, 0.1) << lost;
  }
}

/// What is begun anew knows nothing, whoever tells it first of homes.
TEST(Exchange, WhoBeginsAnewNeverSetsTheOthersBack) {
  job::LocalSteps local = exact(2, 2);
  local.grace = 1s;
  Ocean ocean(3, local);
  ocean.step_all(60, 2.0f);
  for (const std::uint32_t lost : {0u, 2u}) {
    ocean.connect(lost, false);
    ocean.lose(lost);
  }
  for (const std::uint32_t back : {0u, 2u}) ocean.start(back, 1, 60);
  for (const std::uint32_t back : {0u, 2u}) ocean.connect(back, true);
  for (const std::uint32_t i : {1u, 2u, 0u, 1u, 0u, 2u, 1u}) {
    ocean.meet(i);
    EXPECT_GT(ocean.mean(1), 1.8);
    ocean.pass(1s);
  }
  for (int round = 0; round < 4; ++round) {
    for (const std::uint32_t i : {0u, 1u, 2u}) ocean.meet(i);
  }
  for (const std::uint32_t i : {0u, 1u, 2u}) EXPECT_GT(ocean.mean(i), 1.8) << i;
}

/// Both have begun anew, and nobody is left who has what training has made.
TEST(Exchange, AHomeWhereNobodyKnowsAnythingIsNotOpened) {
  job::LocalSteps local = exact(2, 2);
  local.grace = 1s;
  Ocean ocean(2, local);
  ocean.step_all(60, 2.0f);
  ocean.connect(0, false);
  ocean.lose(0);
  ocean.start(0, 1, 60);
  ocean.connect(1, false);
  ocean.lose(1);  // before the other has met it
  ocean.start(1, 2, 60);
  for (const std::uint32_t i : {0u, 1u}) ocean.connect(i, true);
  for (int round = 0; round < 10; ++round) {
    for (const std::uint32_t i : {0u, 1u}) ocean.meet(i);
    ocean.pass(1s);
  }
  EXPECT_FALSE(ocean.caught_up(0) && ocean.caught_up(1));
  EXPECT_TRUE(ocean.nobody_knows(0) || ocean.nobody_knows(1));
}

/// Of three the two that are left agree on all, also on what the third was the home of; with what
/// was told to it and not counted, and what codecs owe.
TEST(Exchange, AnotherIslandTakesTheHomesOfOneThatIsLost) {
  for (const char* codec : {"none", "int4+zstd", "top-k:0.25"}) {
    for (const std::uint32_t lost : {0u, 1u, 2u}) {
      job::LocalSteps local = exact(6, 3);
      local.codec = codec;
      local.outer_learning_rate = 0.7;
      local.outer_momentum = 0.5;
      Ocean ocean(3, local);
      ocean.step_all(39, 2.0f);
      ocean.connect(lost, false);
      std::vector<std::uint32_t> left;
      for (std::uint32_t i = 0; i < 3; ++i) {
        if (i != lost) left.push_back(i);
      }
      const auto train = [&](int steps) {
        for (int step = 0; step < steps; ++step) {
          for (const std::uint32_t i : left) ocean.step(i, i == left[0] ? 1.0f : 3.0f);
        }
      };
      train(7);  // until the scheduler notices
      ocean.lose(lost);
      train(120);
      settle(ocean, left);
      EXPECT_LT(ocean.distance(left[0], left[1]), 1e-5) << codec << " without " << lost;
      EXPECT_NEAR(ocean.mean(left[0]), 2.0, 0.4) << codec << " without " << lost;
    }
  }
}

/// Whatever moment it is at: some have told their last, some have taken the last update.
TEST(Exchange, AHomeMayMoveAtTheEnd) {
  for (int through = 0; through < 8; ++through) {
    job::LocalSteps local = exact(3, 3);
    local.grace = 1s;
    Ocean ocean(3, local);
    ocean.step_all(20, 1.0f, 1.0f);
    for (std::uint32_t i = 0; i < 3; ++i) ocean.finish(i);
    for (int met = 0; met < through; ++met) {
      ocean.meet(static_cast<std::uint32_t>(met) % 3);
      if (met == 4) ocean.pass(2s);
    }
    ocean.connect(0, false);
    ocean.lose(0);
    settle(ocean, {1, 2}, {1, 2});
    EXPECT_LT(ocean.distance(1, 2), 1e-5) << through;
  }
}

/// Nobody is left of whom the home could hear another word, though it waited for one.
TEST(Exchange, EndsWhenTheOnlyOneThatHadMoreToTellIsLost) {
  job::LocalSteps local = exact(3, 3);
  local.grace = 1s;
  Ocean ocean(3, local);
  ocean.step_all(20, 2.0f);
  for (const std::uint32_t i : {1u, 2u}) ocean.finish(i);
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < 3; ++i) ocean.meet(i);
    ocean.pass(1s);
  }
  EXPECT_FALSE(ocean.finished(1));  // what they told is counted, and the third trains
  ocean.connect(0, false);
  ocean.lose(0);
  settle(ocean, {1, 2}, {1, 2});
  EXPECT_LT(ocean.distance(1, 2), 1e-5);
}

/// One that has told its last waits for another that trains and is cut off for a moment.
TEST(Exchange, ACutOfAMomentEndsNobodysJob) {
  Ocean ocean(2, exact(2, 1));
  const auto train = [&ocean](std::uint32_t i, float target) {
    for (int step = 0; step < 20; ++step) {
      ocean.pass(10ms);
      ocean.step(i, target);
      ocean.meet(1 - i);
    }
  };
  for (const std::uint32_t i : {0u, 1u}) train(i, 2.0f);
  ocean.finish(0);
  train(1, 3.0f);
  ocean.connect(1, false);
  train(1, 3.0f);
  EXPECT_FALSE(ocean.finished(0));
  ocean.connect(1, true);
  train(1, 3.0f);
  EXPECT_FALSE(ocean.finished(0));
  settle(ocean, {0, 1}, {0});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
  EXPECT_NEAR(ocean.mean(0), 3.0, 0.2);
}

/// The others ended without it: what it then hears to be the last is not the last for it.
TEST(Exchange, OneThatWasAwayAtTheEndHasItsOwn) {
  job::LocalSteps local = exact(2, 1);
  local.grace = 1s;
  Ocean ocean(2, local);
  ocean.step_all(20, 2.0f);
  ocean.connect(1, false);
  ocean.finish(0);
  ocean.meet(0);
  EXPECT_FALSE(ocean.finished(0));
  ocean.pass(20s);
  ocean.meet(0);
  EXPECT_TRUE(ocean.finished(0));
  ocean.connect(1, true);  // it was about to leave
  for (int step = 0; step < 20; ++step) {
    ocean.step(1, 3.0f);
    ocean.meet(0);
    EXPECT_FALSE(ocean.finished(1)) << step;
  }
  settle(ocean, {0, 1}, {0});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
  EXPECT_NEAR(ocean.mean(1), 3.0, 0.2);
}

/// Whatever letter of the end is lost.
TEST(Exchange, ACutAtAnyMomentOfTheEndIsMadeGood) {
  for (int letters = 0; letters < 12; ++letters) {
    Ocean ocean(2, exact(2, 2));
    ocean.step_all(20, 1.0f, 1.0f);
    for (const std::uint32_t i : {0u, 1u}) ocean.finish(i);
    for (int met = 0; met < letters; ++met) ocean.meet(static_cast<std::uint32_t>(met) % 2);
    ocean.connect(1, false);
    ocean.connect(1, true);
    settle(ocean, {0, 1}, {0, 1});
    EXPECT_LT(ocean.distance(0, 1), 1e-5) << letters;
  }
}

/// Its last was counted, and it does not know yet when it is back.
TEST(Exchange, WhoIsThroughIsNotWaitedForWhenItIsBack) {
  job::LocalSteps local = exact(2, 1);
  local.grace = 1s;
  Ocean ocean(3, local);
  ocean.step_all(20, 2.0f);
  ocean.finish(1);
  for (int round = 0; round < 5; ++round) {
    ocean.meet(1);
    ocean.pass(1s);
    ocean.meet(0);
  }
  ocean.connect(1, false);
  ocean.connect(1, true);
  for (int round = 0; round < 5; ++round) {
    ocean.meet(0);
    ocean.meet(1);
  }
  ocean.connect(2, false);
  ocean.lose(2);
  settle(ocean, {0, 1}, {1});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
}

TEST(Exchange, AQuorumThatCannotBeIsNotWaitedForAtTheEnd) {
  job::LocalSteps local = exact(2, 3);
  local.quorum = 3;
  Ocean ocean(3, local);
  ocean.step_all(20, 2.0f);
  ocean.connect(2, false);
  ocean.lose(2);
  for (int step = 0; step < 20; ++step) {
    for (const std::uint32_t i : {0u, 1u}) ocean.step(i, 1.0f + static_cast<float>(i));
  }
  settle(ocean, {0, 1});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
}

TEST(Exchange, WhoHasBeenGivenUpEnds) {
  const job::LocalSteps local = exact(2, 2);
  const Fragments fragments(small_model(), 2);
  const std::vector<Values> global{Values(fragments.elements(0)), Values(fragments.elements(1))};
  Exchange exchange(
      local, job::Island{0, {"a", "b"}}, fragments, global,
      [](std::uint32_t, node::Letter) { return true; }, Time{});
  EXPECT_TRUE(exchange.set_company({{1}, {{0, 0}, {1, 0}}}, Time{}).ok());
  const Status lost = exchange.set_company({{1}, {{1, 1}, {1, 0}}}, Time{});
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, Code::kFenced);
  const Status back = exchange.set_company({{1}, {{0, 2}, {1, 0}}}, Time{});
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, Code::kFenced);
  const Status other = exchange.set_company({{1}, {{0, 0}}}, Time{});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kProto);
}

}  // namespace
}  // namespace reef::actors
