// What islands agree on, whoever is slow, cut off or comes back, and how often they tell each
// other.

#include <array>
#include <cmath>
#include <random>

#include "tests/unit/actors/ocean.h"

namespace reef::actors {
namespace {

using namespace std::chrono_literals;

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
    ocean.step_all(40, 1.0f, 1.0f);
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
  job::LocalSteps local = exact(2, 2);
  local.outer_learning_rate = 0.7;
  local.outer_momentum = 0.5;
  Ocean ocean(2, local);
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

/// By 6 or 20 %: by itself it would be 24 or 80 steps ahead in the end, and all that it tells old.
TEST(Exchange, OneThatIsFasterHoldsBack) {
  for (const auto& [faster, slow] : {std::pair{0U, 106ms}, {1U, 106ms}, {0U, 120ms}, {1U, 120ms}}) {
    Ocean ocean(2, exact(8, 4));
    ocean.letters_take(10ms);
    const Time begin = ocean.now();
    std::array<Time, 2> next{};
    std::array<int, 2> steps{};
    while (steps[1 - faster] < 400) {
      const std::uint32_t i = next[0] < next[1] ? 0 : 1;
      if (next[i] > ocean.now()) ocean.pass(next[i] - ocean.now());
      ocean.step(i, 1.0f);
      ++steps[i];
      const Duration step = i == faster ? 100ms : slow;
      next[i] = ocean.now() + std::max(step, ocean.lead(i).stepped(ocean.now()));
    }
    EXPECT_LE(steps[faster], 408);  // an interval
    EXPECT_GE(steps[faster], 400);
    EXPECT_LT(ocean.now() - begin, 400 * slow * 1.01);  // the slower one loses nothing
  }
}

/// Who has more to do makes up for it, though what it tells is there first and waits for the
/// other's.
TEST(Exchange, OneThatIsBehindIsNotHeldBack) {
  Ocean ocean(2, exact(8, 4));
  ocean.letters_take(10ms);
  for (int step = 0; step < 40; ++step) ocean.step(0, 1.0f);
  std::array<Time, 2> next{ocean.now(), ocean.now()};
  std::array<int, 2> steps{};
  while (steps[0] < 300) {
    const std::uint32_t i = next[0] < next[1] ? 0 : 1;
    if (next[i] > ocean.now()) ocean.pass(next[i] - ocean.now());
    ocean.step(i, 1.0f);
    ++steps[i];
    next[i] =
        ocean.now() + std::max<Duration>(i == 0 ? 100ms : 90ms, ocean.lead(i).stepped(ocean.now()));
  }
  EXPECT_GE(steps[1], 330);
}

/// Nor does it matter what one said who is gone.
TEST(Exchange, NobodyWaitsForOneThatIsCutOff) {
  Ocean ocean(2, exact(8, 4));
  ocean.letters_take(10ms);
  const auto train = [&ocean](int steps, bool both) {
    Duration kept{};
    for (int step = 0; step < steps; ++step) {
      ocean.step(0, 1.0f);
      kept += ocean.lead(0).stepped(ocean.now());
      ocean.pass(100ms);
      if (both && step % 3 > 0) ocean.step(1, 1.0f);
    }
    return kept;
  };
  EXPECT_GT(train(100, true), Duration{});
  ocean.connect(1, false);
  ocean.meet(0);
  EXPECT_EQ(train(100, false), Duration{});
  ocean.connect(1, true);
  train(4, true);  // what it has missed says nothing of now
  ocean.connect(1, false);
  ocean.meet(0);
  EXPECT_EQ(train(100, false), Duration{});
}

TEST(Lead, KeepsBackUpToAQuarterOfTheTimeAndOnlyForWhoSaysSo) {
  Lead lead;
  Time now{};
  const auto more_in = [&](int steps) {
    const Time begin = now;
    for (int step = 0; step < steps; ++step) now += std::max<Duration>(80ms, lead.stepped(now));
    return now - begin - steps * 80ms;
  };
  now += 1s;
  EXPECT_EQ(more_in(12), 0ms);
  lead.waited(120ms, 2);  // a part of it is less than is worth it
  EXPECT_EQ(more_in(12), 0ms);
  lead.waited(120ms, 2);
  EXPECT_EQ(more_in(12), 60ms);
  for (int update = 0; update < 100; ++update) lead.waited(1h, 1);
  EXPECT_EQ(more_in(12), 4 * 80ms);
  lead.waited(50ms, 1);  // what is still owed is no more than the lead
  EXPECT_EQ(more_in(12), 50ms);
  lead.waited(1h, 1);
  lead.waited({}, 1);
  EXPECT_EQ(more_in(12), 0ms);
  // What comes between steps is no step, nor is one that was held up.
  for (int i = 0; i < 2; ++i) {
    lead.interrupted();
    now += 1h;
    more_in(1);
  }
  now += 1h;
  more_in(5);
  lead.waited(1h, 1);
  EXPECT_EQ(more_in(12), 4 * 80ms);
  lead.forget();
  EXPECT_EQ(more_in(12), 0ms);
}

/// Cuts, losses and paces of all kinds; at the end, with everybody there, all agree.
TEST(Exchange, AgreesWhateverHappensOnTheWay) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    job::LocalSteps local = exact(1 + random() % 6, 1 + random() % 2);
    local.fragments =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(local.fragments, local.inner_steps));
    constexpr const char* kCodecs[] = {"none", "int4+zstd", "top-k:0.25:int2"};
    local.codec = kCodecs[random() % 3];
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
      // So that there is something to tell at the end.
      const float apart = step < 280 ? 0.0f : 0.05f;
      for (const std::uint32_t i : all) ocean.step(i, 2.0f + apart * static_cast<float>(i));
    }
    settle(ocean, all);
    for (const std::uint32_t i : all) {
      EXPECT_LT(ocean.distance(0, i), 1e-4)
          << "seed " << seed << " island " << i << " " << local.codec;
      EXPECT_NEAR(ocean.mean(i), 2.0, 0.2) << "seed " << seed;
    }
  }
}

/// Of the next version, but with what no home passes on to this island.
TEST(Exchange, TakesNoUpdateThatCarriesWhatItMayNot) {
  const nn::ModelSpec spec = small_model();
  const Fragments fragments(spec, 2);
  const std::vector<Values> global{Values(fragments.elements(0)), Values(fragments.elements(1))};
  Exchange exchange(
      exact(2, 2), job::Island{1, {"a", "b"}}, fragments, global,
      [](std::uint32_t, node::Letter) { return true; }, Time{});
  exchange.handle({{0, true, {}}, {0, std::nullopt, letter_of(LetterKind::kHave, 0)}}, Time{});
  Coder coder(codec::parse_edge("none").value(), fragments.parts(0));
  const Bytes some = coder.encode(Values(fragments.elements(0), 1.0f), false);
  const auto takes = [&](const Told& told, const char* codec) {
    node::Letter letter = letter_of(LetterKind::kUpdate, 0);
    letter.number = 1;
    letter.codec = codec;
    append(letter.payload, told);
    exchange.handle({{0, std::nullopt, std::move(letter)}}, Time{});
    return exchange.corrects(0);
  };
  EXPECT_FALSE(takes({1, false, 1, 64, some}, "none"));          // what it has told itself
  EXPECT_FALSE(takes({kTogether, false, 0, 64, some}, "none"));  // a mean
  EXPECT_FALSE(takes({0, false, 1, std::uint64_t{1} << 41, some}, "none"));  // of too many tokens
  EXPECT_FALSE(takes({0, false, 1, 64, Bytes(7)}, "none"));
  EXPECT_FALSE(takes({0, false, 1, 64, some}, "int8"));
  EXPECT_TRUE(takes({0, false, 1, 64, some}, "none"));
  EXPECT_EQ(exchange.correction(0)[0], -1.0f);
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
