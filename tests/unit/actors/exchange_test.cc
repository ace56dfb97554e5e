// Islands that exchange letters over channels which a test can cut: what they agree on, whoever is
// slow, lost or comes back.

#include "actors/store/local_steps/exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>

#include "ops/nn/config.h"
#include "ops/nn/stage.h"
#include "runtime/base/clock.h"
#include "scheduler/service/homes.h"

namespace reef::actors {
namespace {

using namespace std::chrono_literals;
using Values = std::vector<float>;

nn::ModelSpec small_model() {
  nn::GptConfig gpt;
  gpt.vocab_size = 16;
  gpt.n_positions = 8;
  gpt.n_embd = 8;
  gpt.n_layer = 2;
  gpt.n_head = 2;
  return nn::model_spec(gpt, nn::Precision::kF32, nn::Recompute::kNone, 8);
}

/// Islands that train a model, each of which pulls all weights towards a number of its own, and the
/// scheduler that tells them of each other.
class Ocean {
 public:
  Ocean(std::uint32_t islands, job::LocalSteps local)
      : local_(std::move(local)), fragments_(small_model(), local_.fragments), homes_(islands) {
    for (std::uint32_t i = 0; i < islands; ++i) names_.push_back("island-" + std::to_string(i));
    for (std::uint32_t i = 0; i < islands; ++i) start(i, 0, 0);
    for (std::uint32_t i = 0; i < islands; ++i) connect(i, true);
  }

  /// As the scheduler sees it: its homes move.
  void lose(std::uint32_t i) {
    islands_[i].lost = true;
    std::set<std::uint32_t> left;
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (!islands_[other].lost && islands_[other].knows) left.insert(other);
    }
    homes_.lose(i, left);
    introduce();
  }

  /// With the weights that everybody began with.
  void start(std::uint32_t i, std::uint32_t begun, std::uint64_t first_step) {
    islands_.resize(names_.size());
    Island& island = islands_[i];
    island = {};
    island.knows = begun == 0;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f)
      island.weights.emplace_back(fragments_.elements(f), 0.0f);
    island.exchange = std::make_unique<Exchange>(
        local_, job::Island{i, names_, begun, first_step}, fragments_, island.weights,
        [this, i](std::uint32_t to, node::Letter letter) {
          if (!islands_[i].connected || !islands_[to].connected) return false;
          islands_[i].free = std::max(islands_[i].free, now_) + letter_takes_;
          islands_[to].under_way.push_back(
              {islands_[i].free, {i, std::nullopt, std::move(letter)}});
          return true;
        },
        now_);
    island.step = first_step;
    if (begun > 0) introduce();
  }

  /// To all others that are connected. A cut loses what is under way.
  void connect(std::uint32_t i, bool present) {
    islands_[i].connected = present;
    if (!present) islands_[i].post.clear(), islands_[i].under_way.clear();
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (other == i || !islands_[other].connected) continue;
      if (!present) {
        std::erase_if(islands_[other].post, [i](const auto& event) { return event.island == i; });
        std::erase_if(islands_[other].under_way,
                      [i](const auto& one) { return one.second.island == i; });
      }
      islands_[other].post.push_back({i, present, {}});
      islands_[i].post.push_back({other, present, {}});
    }
  }

  /// One training step of an island: each weight goes a tenth of the way to `target`.
  void step(std::uint32_t i, float target) {
    Island& island = islands_[i];
    island.step += 1;
    for (Values& fragment : island.weights) {
      for (float& weight : fragment) weight += 0.1f * (target - weight);
    }
    island.exchange->trained(64);
    if (const auto f = job::fragment_due(local_, island.step))
      island.exchange->tell(*f, island.weights[*f], false, now_);
    meet(i);
  }

  /// As the store does once a round.
  void meet(std::uint32_t i) {
    Island& island = islands_[i];
    while (!island.under_way.empty() && island.under_way.front().first <= now_) {
      island.post.push_back(std::move(island.under_way.front().second));
      island.under_way.pop_front();
    }
    island.exchange->handle(
        {std::make_move_iterator(island.post.begin()), std::make_move_iterator(island.post.end())},
        now_);
    island.post.clear();
    island.exchange->update(now_);
    if (island.exchange->caught_up()) island.knows = true;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f) {
      if (!island.exchange->corrects(f)) continue;
      const auto correction = island.exchange->correction(f);
      for (std::size_t k = 0; k < correction.size(); ++k) island.weights[f][k] += correction[k];
    }
  }

  void finish(std::uint32_t i) {
    Island& island = islands_[i];
    for (std::uint32_t f = 0; f < fragments_.count(); ++f)
      island.exchange->tell(f, island.weights[f], true, now_);
  }
  bool others_know(std::uint32_t i) const {
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (other != i && islands_[other].knows) return true;
    }
    return false;
  }
  bool caught_up(std::uint32_t i) const { return islands_[i].exchange->caught_up(); }
  bool finished(std::uint32_t i) const { return islands_[i].exchange->finished(now_); }

  void pass(Duration time) { now_ += time; }
  /// On the line of each island to the others, one letter after the other.
  void letters_take(Duration time) { letter_takes_ = time; }
  void hurry(std::uint32_t i) { islands_[i].exchange->hurry(); }
  std::uint32_t pace(std::uint32_t i) const { return islands_[i].exchange->longest_pace(); }
  const std::vector<Values>& weights(std::uint32_t i) const { return islands_[i].weights; }
  std::size_t letters_for(std::uint32_t i) const {
    return islands_[i].post.size() + islands_[i].under_way.size();
  }

  double mean(std::uint32_t i) const {
    double sum = 0, count = 0;
    for (const Values& fragment : islands_[i].weights) {
      for (const float weight : fragment) sum += weight, ++count;
    }
    return sum / count;
  }
  double distance(std::uint32_t a, std::uint32_t b) const {
    double most = 0;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f) {
      for (std::size_t k = 0; k < fragments_.elements(f); ++k) {
        most =
            std::max<double>(most, std::abs(islands_[a].weights[f][k] - islands_[b].weights[f][k]));
      }
    }
    return most;
  }

 private:
  struct Island {
    std::vector<Values> weights;
    std::unique_ptr<Exchange> exchange;
    std::vector<Post::Event> post;
    std::deque<std::pair<Time, Post::Event>> under_way;
    Time free{};  ///< its line
    std::uint64_t step = 0;
    bool connected = false;
    bool lost = false;   ///< as the scheduler has it
    bool knows = false;  ///< what training has made
  };

  void introduce() {
    for (std::uint32_t i = 0; i < islands_.size(); ++i) {
      job::Company company{{}, homes_.places()};
      for (std::uint32_t other = 0; other < islands_.size(); ++other) {
        if (other != i && !islands_[other].lost) company.islands.insert(other);
      }
      if (islands_[i].lost) continue;
      const Status set = islands_[i].exchange->set_company(company, now_);
      EXPECT_TRUE(set.ok()) << set.error().text();
    }
  }

  const job::LocalSteps local_;
  const Fragments fragments_;
  service::Homes homes_;
  std::vector<std::string> names_;
  std::vector<Island> islands_;
  Time now_ = Time{} + 1h;
  Duration letter_takes_{};
};

job::LocalSteps exact(std::uint64_t inner_steps, std::uint32_t fragments) {
  job::LocalSteps local;
  local.inner_steps = inner_steps;
  local.fragments = fragments;
  local.codec = "none";
  local.outer_learning_rate = 1;
  local.outer_momentum = 0;
  return local;
}

/// All tell their last, but those that have already, and come to their end.
void settle(Ocean& ocean, const std::vector<std::uint32_t>& islands,
            const std::vector<std::uint32_t>& through = {}) {
  for (const std::uint32_t i : islands) {
    if (std::ranges::count(through, i) == 0) ocean.finish(i);
  }
  for (int round = 0; round < 40; ++round) {
    for (const std::uint32_t i : islands) ocean.meet(i);
  }
  for (const std::uint32_t i : islands) EXPECT_TRUE(ocean.finished(i)) << i;
}

TEST(Fragments, HoldEveryParameterOnceInAboutEqualParts) {
  const nn::ModelSpec spec = small_model();
  std::size_t all = 0;
  const nn::Stage stage(spec, 0, spec.layers.size());
  for (const nn::Parameter& one : stage.parameters())
    all += static_cast<std::size_t>(one.elements());
  const Fragments fragments(spec, 3);
  std::size_t sum = 0;
  for (std::uint32_t f = 0; f < 3; ++f) {
    sum += fragments.elements(f);
    EXPECT_GT(fragments.elements(f), all / 6);
    EXPECT_LT(fragments.elements(f), all / 2);
  }
  EXPECT_EQ(sum, all);
}

TEST(LocalStepsJob, TellsEachFragmentOnceInItsTime) {
  job::LocalSteps local;
  local.inner_steps = 10;
  local.fragments = 4;
  std::vector<int> told(4);
  for (std::uint64_t step = 1; step <= 10; ++step) {
    if (const auto f = job::fragment_due(local, step)) ++told[*f];
  }
  EXPECT_EQ(told, (std::vector<int>{1, 1, 1, 1}));
  EXPECT_EQ(job::fragment_due(local, 10), 3u);
  EXPECT_EQ(job::fragment_due(local, 20), 3u);
}

TEST(Exchange, IslandsEndWithTheSameWeights) {
  for (const char* codec : {"none", "bf16+zstd", "int4+zstd", "top-k:0.25"}) {
    job::LocalSteps local = exact(4, 3);
    local.codec = codec;
    local.outer_learning_rate = 0.7;
    local.outer_momentum = 0.5;
    Ocean ocean(3, local);
    for (int step = 0; step < 40; ++step) {
      for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 1.0f + static_cast<float>(i));
    }
    settle(ocean, {0, 1, 2});
    EXPECT_LT(ocean.distance(0, 1), 1e-5) << codec;
    EXPECT_LT(ocean.distance(0, 2), 1e-5) << codec;
    EXPECT_NEAR(ocean.mean(0), 2.0, 0.4) << codec;  // between 1, 2 and 3
  }
}

/// With a rate of one and no momentum an update is the mean of what islands did by themselves.
TEST(Exchange, AnUpdateIsTheMeanOfAllProgress) {
  Ocean ocean(2, exact(1, 1));
  ocean.meet(1);  // joins
  ocean.meet(0);
  ocean.meet(1);
  ocean.step(0, 1.0f);
  ocean.step(1, 3.0f);
  ocean.meet(0);
  ocean.meet(1);
  EXPECT_NEAR(ocean.mean(0), 0.2, 1e-6);
  EXPECT_NEAR(ocean.mean(1), 0.2, 1e-6);
}

TEST(Exchange, GoesOnWithoutOneThatIsCutAndTakesItBack) {
  Ocean ocean(2, exact(2, 2));
  const auto both = [&](int steps) {
    for (int step = 0; step < steps; ++step) {
      ocean.step(0, 1.0f);
      ocean.step(1, 3.0f);
    }
  };
  both(10);
  ocean.connect(1, false);
  for (int step = 0; step < 100; ++step) ocean.step(0, 1.0f);
  EXPECT_NEAR(ocean.mean(0), 1.0, 0.05);  // its own way now
  for (int step = 0; step < 5; ++step) ocean.step(1, 3.0f);
  ocean.connect(1, true);
  both(60);
  settle(ocean, {0, 1});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
  EXPECT_NEAR(ocean.mean(0), 2.0, 0.1);
}

/// Nobody waits for one that has told its last.
TEST(Exchange, OneMayFinishBeforeTheOther) {
  Ocean ocean(2, exact(2, 2));
  for (int step = 0; step < 20; ++step) {
    ocean.step(0, 1.0f);
    ocean.step(1, 3.0f);
  }
  ocean.finish(0);
  for (int step = 0; step < 21; ++step) {
    ocean.meet(0);
    ocean.step(1, 3.0f);
    EXPECT_FALSE(ocean.finished(0));
  }
  settle(ocean, {0, 1}, {0});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
}

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
  for (int step = 0; step < 60; ++step) {
    for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 2.0f);
  }
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
  for (int step = 0; step < 60; ++step) {
    for (std::uint32_t i = 0; i < 2; ++i) ocean.step(i, 2.0f);
  }
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
      for (int step = 0; step < 39; ++step) {
        for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 2.0f);
      }
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
    for (int step = 0; step < 20; ++step) {
      for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 1.0f + static_cast<float>(i));
    }
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
  for (int step = 0; step < 20; ++step) {
    for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 2.0f);
  }
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
  for (int step = 0; step < 20; ++step) {
    for (const std::uint32_t i : {0u, 1u}) ocean.step(i, 2.0f);
  }
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
    for (int step = 0; step < 20; ++step) {
      for (const std::uint32_t i : {0u, 1u}) ocean.step(i, 1.0f + static_cast<float>(i));
    }
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
  for (int step = 0; step < 20; ++step) {
    for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 2.0f);
  }
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
  for (int step = 0; step < 20; ++step) {
    for (std::uint32_t i = 0; i < 3; ++i) ocean.step(i, 2.0f);
  }
  ocean.connect(2, false);
  ocean.lose(2);
  for (int step = 0; step < 20; ++step) {
    for (const std::uint32_t i : {0u, 1u}) ocean.step(i, 1.0f + static_cast<float>(i));
  }
  settle(ocean, {0, 1});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
}

TEST(LocalStepsJob, CountsDueDates) {
  job::LocalSteps local;
  local.inner_steps = 10;
  local.fragments = 4;
  for (const double guard : {0.0, 0.02}) {
    local.loss_guard = guard;
    std::vector<std::uint64_t> dues(4);
    for (std::uint64_t step = 1; step <= 45; ++step) {
      if (const auto f = job::fragment_due(local, step)) ++dues[*f];
      for (std::uint32_t f = 0; f < 4; ++f) EXPECT_EQ(job::dues_until(local, f, step), dues[f]);
    }
    EXPECT_EQ(job::dues_until(local, 0, 0), 0u);
  }
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

/// As if the home had never moved: the velocity is what updates have shown of it.
TEST(VelocityReplica, FollowsFromUpdates) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const OuterSettings settings{0.7, 0.9};
  OuterOptimizer home(settings, 50);
  VelocityReplica whole(settings, 50), late(settings, 50);
  Values progress(50), update(50);
  double off = 0;
  for (int step = 0; step < 30; ++step) {
    for (float& one : progress) one = normal(random);
    const Contribution contribution{progress, 10};
    home.step({&contribution, 1}, update);
    whole.take(update);
    if (step >= 10) late.take(update);
    double now = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      EXPECT_NEAR(whole.values()[i], home.velocity()[i], 1e-5);
      now = std::max<double>(now, std::abs(late.values()[i] - home.velocity()[i]));
    }
    if (step > 10 && off > 1e-4) {
      EXPECT_LT(now, 0.5 * off) << step;
    }
    off = now;
  }
  EXPECT_LT(off, 1e-5);
}

/// With a quorum of all, one that is through is not needed for what the other has still to tell.
TEST(Exchange, AQuorumNeedsNobodyWhoIsThrough) {
  job::LocalSteps local = exact(2, 2);
  local.quorum = 2;
  Ocean ocean(2, local);
  for (int step = 0; step < 20; ++step) {
    ocean.step(0, 1.0f);
    ocean.step(1, 1.0f);
  }
  ocean.finish(0);
  for (int step = 0; step < 9; ++step) {
    ocean.meet(0);
    ocean.step(1, 1.0f);
  }
  settle(ocean, {0, 1}, {0});
}

/// Whoever has missed the last updates gets a snapshot, and knows that it was the last.
TEST(Exchange, ASnapshotMayBeTheLastOfAll) {
  Ocean ocean(2, exact(1, 1));
  for (int step = 0; step < 5; ++step) {
    ocean.step(0, 1.0f);
    ocean.step(1, 1.0f);
  }
  ocean.meet(0);
  ocean.meet(1);
  ocean.connect(1, false);
  for (int step = 0; step < 5; ++step) ocean.step(0, 1.0f);
  ocean.finish(0);
  ocean.meet(0);
  ocean.connect(1, true);
  settle(ocean, {0, 1}, {0});
  EXPECT_LT(ocean.distance(0, 1), 1e-5);
}

/// An interval is 0.4 s; on the slow line a letter takes 0.9, and two are sent each way in one.
TEST(Exchange, TellsMoreRarelyOnALineThatHasBecomeSlowAndGoesBack) {
  Ocean ocean(2, exact(4, 2));
  const auto train = [&ocean](int steps, auto&& until) {
    for (int step = 1; step <= steps; ++step) {
      ocean.pass(100ms);
      for (const std::uint32_t i : {0, 1}) ocean.step(i, i == 0 ? 1.0f : 3.0f);
      if (until()) return step;
    }
    return steps;
  };
  const auto never = [] { return false; };
  train(100, never);
  EXPECT_EQ(ocean.pace(0), 1u);
  ocean.letters_take(900ms);
  const auto both = [&ocean] { return ocean.pace(0) > 1 && ocean.pace(1) > 1; };
  EXPECT_LT(train(1000, both), 100);  // 10 s
  train(600, never);
  EXPECT_GE(ocean.pace(0),
            4u);  // 1.6 s, for what takes 1.8 each way; 8 last, 4 is tried now and then
  EXPECT_GE(ocean.pace(1), 4u);
  ocean.letters_take({});
  const auto back = [&ocean] { return ocean.pace(0) == 1 && ocean.pace(1) == 1; };
  EXPECT_LT(train(1000, back), 300);
  train(100, never);
  EXPECT_TRUE(back());
  settle(ocean, {0, 1});
  EXPECT_LT(ocean.distance(0, 1), 1e-6);
}

/// An interval of 16 steps is cut into four due dates.
TEST(Exchange, TellsTwiceAsOftenWhereALossGuardAsksForIt) {
  job::LocalSteps local = exact(16, 2);
  local.loss_guard = 0.02;
  ASSERT_EQ(job::dues_in_interval(local), 4u);
  Ocean ocean(2, local);
  const auto letters = [&ocean] {
    std::size_t sent = 0;
    for (int step = 0; step < 64; ++step) {
      ocean.pass(100ms);
      ocean.step(0, 1.0f);
      sent += ocean.letters_for(1);
      ocean.step(1, 3.0f);
    }
    return sent;
  };
  letters();
  EXPECT_EQ(ocean.pace(0), 4u);
  const std::size_t before = letters();
  ocean.hurry(1);
  letters();
  EXPECT_EQ(ocean.pace(0), 2u);  // also of fragments whose home is elsewhere
  EXPECT_EQ(ocean.pace(1), 2u);
  EXPECT_EQ(letters(), 2 * before);
  ocean.hurry(0);  // the same that the other has asked for
  letters();
  EXPECT_EQ(ocean.pace(0), 2u);
  for (int i = 0; i < 5; ++i) ocean.hurry(0);
  letters();
  EXPECT_EQ(ocean.pace(1), 1u);
  EXPECT_EQ(letters(), 4 * before);
  settle(ocean, {0, 1});
  EXPECT_LT(ocean.distance(0, 1), 1e-6);
}

/// Of islands with paces of their own due dates are as many.
TEST(LocalStepsJob, CutsAnIntervalWhereAGuardMayAskForMore) {
  job::LocalSteps local;
  local.inner_steps = 16;
  local.fragments = 4;
  EXPECT_EQ(job::dues_in_interval(local), 1u);
  local.loss_guard = 0.02;
  EXPECT_EQ(job::dues_in_interval(local), 4u);
  std::vector<int> due(4);
  for (std::uint64_t step = 1; step <= 16; ++step) {
    if (const auto f = job::fragment_due(local, step)) ++due[*f];
  }
  EXPECT_EQ(due, (std::vector<int>{4, 4, 4, 4}));
  local.fragments = 8;
  EXPECT_EQ(job::dues_in_interval(local), 2u);
  local.inner_steps = 9;
  EXPECT_EQ(job::dues_in_interval(local), 1u);
  job::Job job;
  local.inner_steps = 16;
  local.fragments = 2;
  job.local_steps = local;
  job.training.steps = 100;
  const job::Job faster = job::at_pace(job, 1.3);
  EXPECT_EQ(faster.local_steps->inner_steps, 20u);
  EXPECT_EQ(job::dues_in_interval(*faster.local_steps), 4u);
}

/// One that computes slowly is waited for, and would be at any pace.
TEST(Exchange, TellsNoMoreRarelyForOneThatComputesSlowly) {
  Ocean ocean(2, exact(4, 2));
  for (int step = 0; step < 600; ++step) {
    ocean.pass(100ms);
    ocean.step(0, 1.0f);
    if (step % 5 == 0) ocean.step(1, 3.0f);
    EXPECT_EQ(ocean.pace(0), 1u);
  }
}

/// Cuts, losses and paces of all kinds; at the end, with everybody there, all agree.
TEST(Exchange, AgreesWhateverHappensOnTheWay) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    job::LocalSteps local = exact(1 + random() % 6, 1 + random() % 2);
    local.fragments =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(local.fragments, local.inner_steps));
    local.outer_learning_rate = 0.7;
    local.outer_momentum = 0.3;
    local.grace = 1s;
    const std::uint32_t islands = 2 + random() % 3;
    Ocean ocean(islands, local);
    std::vector<bool> there(islands, true);
    std::uint32_t begun = 0;
    for (std::uint64_t event = 0; event < 400; ++event) {
      const std::uint32_t i = random() % islands;
      ocean.pass(std::chrono::milliseconds(random() % 200));
      switch (random() % 40) {
        case 0:
          if (there[i]) ocean.connect(i, there[i] = false);
          break;
        case 1:
          if (!there[i]) ocean.connect(i, there[i] = true);
          break;
        case 2:
          // Lost for good, and begun anew; not the last that knows anything.
          if (!there[i] && ocean.others_know(i)) {
            ocean.lose(i);
            ocean.start(i, ++begun, event);
          }
          break;
        default:
          ocean.step(i, 2.0f);
      }
    }
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < islands; ++i) {
      if (!there[i]) ocean.connect(i, true);
      all.push_back(i);
    }
    for (int step = 0; step < 300; ++step) {
      ocean.pass(100ms);
      for (const std::uint32_t i : all) ocean.step(i, 2.0f);
    }
    settle(ocean, all);
    for (const std::uint32_t i : all) {
      EXPECT_LT(ocean.distance(0, i), 1e-4) << "seed " << seed << " island " << i;
      EXPECT_NEAR(ocean.mean(i), 2.0, 0.2) << "seed " << seed;
    }
  }
}

/// What another island writes and cannot be changes nothing.
TEST(Exchange, PassesOverWhatCannotBe) {
  job::LocalSteps local = exact(2, 2);
  const nn::ModelSpec spec = small_model();
  const Fragments fragments(spec, 2);
  std::vector<Values> global{Values(fragments.elements(0)), Values(fragments.elements(1))};
  std::mt19937 random(7);
  Exchange exchange(
      local, job::Island{0, {"a", "b"}}, fragments, global,
      [](std::uint32_t, node::Letter) { return true; }, Time{});
  exchange.handle({{1, true, {}}}, Time{});
  for (int i = 0; i < 2000; ++i) {
    node::Letter letter;
    letter.kind = static_cast<std::uint16_t>(random() % 19);
    letter.fragment = random() % 4;
    letter.number = random() % 3 == 0 ? ~0ull : 5 + random() % 100;  // never the next
    letter.included = random() % 3 == 0 ? ~0ull : random();
    letter.tokens = random();
    letter.codec = random() % 2 ? "none" : "int8";
    letter.payload.resize(random() % 2 ? fragments.elements(1) * 4 - 4 : random() % 64);
    exchange.handle({{static_cast<std::uint32_t>(random() % 3), std::nullopt, letter}}, Time{});
    exchange.update(Time{});
    ASSERT_FALSE(exchange.corrects(0));
    ASSERT_FALSE(exchange.corrects(1));
  }
}

}  // namespace
}  // namespace reef::actors
