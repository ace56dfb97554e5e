// Training in several datacenters with an outer optimizer, on sums that can be done by hand.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "actors/store/local_steps/contributions.h"
#include "actors/store/local_steps/gathering.h"
#include "actors/store/local_steps/outer_optimizer.h"
#include "actors/store/local_steps/progress.h"

namespace reef::actors {
namespace {

using namespace std::chrono_literals;
using Values = std::vector<float>;

Values values_of(std::span<const float> some) { return {some.begin(), some.end()}; }

/// What training does to weights.
void move(Values& weights, float by) {
  for (float& one : weights) one += by;
}

void add(Values& weights, std::span<const float> some) {
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += some[i];
}

TEST(Progress, TellsWhatTrainingDidSinceTheLastTime) {
  Values weights{1, 2, 3};
  Progress progress(weights);
  move(weights, -0.5f);
  EXPECT_EQ(values_of(progress.tell(weights)), (Values{0.5f, 0.5f, 0.5f}));
  move(weights, 2);
  EXPECT_EQ(values_of(progress.tell(weights)), (Values{-2, -2, -2}));
  EXPECT_EQ(progress.pending(), 2u);
}

TEST(Progress, AnUpdateTakesThePlaceOfTheProgressItCounts) {
  Values weights{1, 2, 3}, correction(3);
  Progress progress(weights);
  move(weights, -0.5f);
  progress.tell(weights);
  move(weights, 4);  // while the update is under way
  progress.take(Values{10, 20, 30}, 1, correction);
  add(weights, correction);
  EXPECT_EQ(weights, (Values{15, 26, 37}));  // global 11, 22, 33, and 4 of one's own
  EXPECT_EQ(values_of(progress.tell(weights)), (Values{-4, -4, -4}));
}

TEST(Progress, KeepsWhatAnUpdateOfTheOthersDoesNotCount) {
  Values weights{0, 0}, correction(2);
  Progress progress(weights);
  move(weights, 1);
  progress.tell(weights);
  progress.take(Values{8, 16}, 0, correction);
  add(weights, correction);
  EXPECT_EQ(weights, (Values{9, 17}));
  progress.take(Values{1, 1}, 1, correction);  // counted late
  add(weights, correction);
  EXPECT_EQ(weights, (Values{9, 17}));
  EXPECT_EQ(progress.pending(), 0u);
}

/// What a codec leaves out is not lost and need not be done again.
TEST(Progress, KeepsWhatACodecLeavesOut) {
  Values weights{10, 20};
  Progress progress(weights);
  weights = {12, 26};
  const auto first_only = [](std::span<float> told) { told[1] = 0; };
  EXPECT_EQ(values_of(progress.tell(weights, first_only)), (Values{-2, 0}));
  Values correction(2);
  progress.take(Values{1, 1}, 1, correction);
  EXPECT_EQ(correction, (Values{-1, 1}));
  add(weights, correction);
  EXPECT_EQ(progress.global(), (Values{11, 21}));
  EXPECT_EQ(weights, (Values{11, 27}));
  EXPECT_EQ(values_of(progress.tell(weights)), (Values{0, -6}));
}

TEST(OuterOptimizer, WithoutMomentumAndRateOneIsTheMeanByTokens) {
  OuterOptimizer optimizer({1, 0}, 2);
  Values update(2);
  Contributions contributions;
  contributions.begin(3, 2);
  contributions.add(0, 300, Values{4, 8});
  contributions.add(2, 50, Values{0, 3});
  contributions.add(2, 50, Values{0, 1});
  EXPECT_TRUE(contributions.mean(update));
  optimizer.step(update, false);
  EXPECT_EQ(update, (Values{-3, -7}));
}

TEST(OuterOptimizer, TakesNesterovsSteps) {
  OuterOptimizer optimizer({0.5, 0.5}, 1);
  Values update{1};
  optimizer.step(update, false);  // velocity 1
  EXPECT_EQ(update, Values{-0.75f});
  update = {1};
  optimizer.step(update, false);  // velocity 1.5
  EXPECT_EQ(update, Values{-0.875f});
  OuterOptimizer other({0.5, 0.5}, 1);
  other.restore(optimizer.velocity());
  Values again{1};
  update = {1};
  optimizer.step(update, false);
  other.step(again, false);
  EXPECT_EQ(update, again);
  // A hostile home may say anything.
  other.restore(Values{1e30f});
  EXPECT_EQ(other.velocity()[0], 0);
}

/// What momentum has gathered is for steps that do not come any more.
TEST(OuterOptimizer, EndsAtTheMeanWhateverItsSettings) {
  OuterOptimizer optimizer({0.5, 0.5}, 1);
  Values update{1};
  optimizer.step(update, false);
  update = {3};
  optimizer.step(update, true);
  EXPECT_EQ(update, Values{-3});
}

/// The sum over members of what they add to the global weights, and what they have of their own,
/// whatever order tellings and updates come in.
TEST(LocalSteps, WeightsAreTheGlobalOnesAndProgressNotYetCounted) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> pick(0, 3), amount(-8, 8);
  constexpr std::size_t kMembers = 3;
  Values global{0};
  struct Member {
    Values weights{0};
    Progress progress{Values{0}};
    std::deque<Values> told;  ///< not yet counted
    Values since{0};          ///< of training, not yet told
  };
  std::vector<Member> members(kMembers);
  OuterOptimizer optimizer({0.75, 0.5}, 1);
  for (int turn = 0; turn < 2000; ++turn) {
    Member& one = members[static_cast<std::size_t>(turn) % kMembers];
    const auto by = static_cast<float>(amount(random)) / 4;
    move(one.weights, by);
    move(one.since, by);
    if (pick(random) == 0) {
      one.told.push_back(values_of(one.progress.tell(one.weights)));
      EXPECT_EQ(one.told.back(), Values{-one.since[0]});
      one.since = {0};
    }
    if (pick(random) != 0) continue;
    Contributions counted;
    counted.begin(kMembers, 1);
    std::vector<std::size_t> of_each;
    for (std::uint32_t i = 0; i < kMembers; ++i) {
      const std::size_t some = std::min<std::size_t>(members[i].told.size(), 2);
      of_each.push_back(some);
      for (std::size_t k = 0; k < some; ++k) counted.add(i, 64, members[i].told[k]);
    }
    Values update(1), correction(1);
    if (!counted.mean(update)) continue;
    optimizer.step(update, false);
    update[0] = std::round(update[0] * 64) / 64;  // so that sums are exact
    add(global, update);
    for (std::size_t i = 0; i < kMembers; ++i) {
      Member& member = members[i];
      member.progress.take(update, of_each[i], correction);
      add(member.weights, correction);
      member.told.erase(member.told.begin(),
                        member.told.begin() + static_cast<std::ptrdiff_t>(of_each[i]));
      float own = member.since[0];
      for (const Values& told : member.told) own -= told[0];
      EXPECT_NEAR(member.weights[0], global[0] + own, 1e-3) << "turn " << turn;
    }
  }
}

constexpr Time kStart{};

TEST(Gathering, IsDueOnceAllHaveCome) {
  Gathering gathering({1, 10s});
  gathering.join(0);
  gathering.join(1);
  EXPECT_EQ(gathering.due(), std::nullopt);
  gathering.bring(0, kStart + 1s);
  EXPECT_EQ(gathering.due(), kStart + 11s);
  gathering.bring(1, kStart + 3s);
  EXPECT_LE(*gathering.due(), kStart + 3s);
  EXPECT_EQ(gathering.close(), (std::map<std::uint32_t, std::size_t>{{0, 1}, {1, 1}}));
  EXPECT_EQ(gathering.due(), std::nullopt);
}

TEST(Gathering, WaitsForAQuorumHoweverLong) {
  Gathering gathering({2, 10s});
  for (const std::uint32_t island : {0, 1, 2}) gathering.join(island);
  gathering.bring(0, kStart);
  gathering.bring(0, kStart + 50s);
  EXPECT_EQ(gathering.due(), std::nullopt);
  gathering.bring(1, kStart + 60s);
  EXPECT_EQ(gathering.due(), kStart + 70s);
  EXPECT_EQ(gathering.close(), (std::map<std::uint32_t, std::size_t>{{0, 2}, {1, 1}}));
}

TEST(Gathering, WaitsForNobodyWhoLeft) {
  Gathering gathering({1, 10s});
  gathering.join(0);
  gathering.join(1);
  gathering.bring(0, kStart + 2s);
  gathering.leave(1);
  EXPECT_LE(*gathering.due(), kStart + 2s);
  gathering.join(1);
  EXPECT_EQ(gathering.due(), kStart + 12s);
}

TEST(Gathering, CountsWhoComesTooLateInTheNextUpdate) {
  Gathering gathering({1, 10s});
  gathering.join(0);
  gathering.join(1);
  gathering.bring(0, kStart);
  EXPECT_EQ(gathering.close(), (std::map<std::uint32_t, std::size_t>{{0, 1}}));
  gathering.bring(1, kStart + 12s);
  EXPECT_EQ(gathering.due(), kStart + 22s);
  gathering.bring(0, kStart + 20s);
  EXPECT_EQ(gathering.close(), (std::map<std::uint32_t, std::size_t>{{0, 1}, {1, 1}}));
}

}  // namespace
}  // namespace reef::actors
