// A fragment at its home, alone: what its updates carry, and for whom that is enough.

#include "actors/store/local_steps/home_fragment.h"

#include <gtest/gtest.h>

#include <cmath>

namespace reef::actors {
namespace {

using namespace std::chrono_literals;
using Values = std::vector<float>;

constexpr Time kNow{};

class Home {
 public:
  Home(const char* codec, bool passes_on, std::uint32_t islands, double momentum = 0)
      : coder_(codec::parse_edge(codec).value(), {{1, 4}}),
        home_({1, {}}, {1, momentum}, coder_, passes_on, islands, Values(4, 0.0f)) {}

  HomeFragment* operator->() { return &home_; }

  struct When {
    std::uint64_t done = 0;
    Duration at{};
  };
  void bring(std::uint32_t island, std::uint64_t number, const Values& progress, bool last = false,
             std::uint64_t tokens = 64) {
    tell({island, last, number, tokens}, progress, {});
  }
  void bring(std::uint32_t island, std::uint64_t number, const Values& progress, When when) {
    tell({island, false, number, 64}, progress, when);
  }
  const HomeFragment::Update& update(bool may_end = false) {
    return home_.update(may_end, change_);
  }
  const Values& change() const { return change_; }
  Values decoded(const Told& told) {
    Values values(4);
    EXPECT_TRUE(coder_.decode(told.encoded, told.last, values).ok());
    return values;
  }

 private:
  void tell(ToldView told, const Values& progress, When when) {
    const Bytes encoded = coder_.encode(progress, told.last);
    told.encoded = encoded;
    const Status brought = home_.bring(told, when.done, kNow + when.at);
    ASSERT_TRUE(brought.ok()) << brought.error().text();
  }

  Coder coder_;
  HomeFragment home_;
  Values change_;
};

TEST(HomeFragment, PassesOnWhatItWasTold) {
  Home home("none", true, 2);
  home.bring(0, 1, {1, 2, 3, 4});
  home.bring(1, 1, {3, 2, 1, 0});
  const HomeFragment::Update& update = home.update();
  ASSERT_EQ(update.told.size(), 2u);
  EXPECT_EQ(home.decoded(update.told[0]), (Values{1, 2, 3, 4}));
  EXPECT_EQ(home.decoded(update.told[1]), (Values{3, 2, 1, 0}));
  EXPECT_EQ(home.change(), (Values{-2, -2, -2, -2}));
  EXPECT_TRUE(home->serves(update, 0));
  EXPECT_TRUE(home->serves(update, 1));
}

/// Also where others have more to tell, and whatever it carries.
TEST(HomeFragment, AnUpdateWithALastTellingIsThePlainMean) {
  for (const bool passes_on : {true, false}) {
    Home home("none", passes_on, 3, 0.5);
    for (std::uint32_t island = 0; island < 3; ++island) home.bring(island, 1, {4, 4, 4, 4});
    home.update();
    EXPECT_EQ(home.change(), (Values{-6, -6, -6, -6}));
    home.bring(0, 2, {2, 2, 2, 2}, true);
    home.bring(1, 2, {4, 4, 4, 4});
    home.bring(2, 2, {3, 3, 3, 3});
    const HomeFragment::Update& update = home.update();
    EXPECT_FALSE(update.last);
    EXPECT_EQ(home.change(), (Values{-3, -3, -3, -3}));
    EXPECT_TRUE(update.told[0].last);
    home.bring(1, 3, {4, 4, 4, 4});
    home.bring(2, 3, {4, 4, 4, 4});
    home.update();
    EXPECT_NE(home.change(), (Values{-4, -4, -4, -4}));
  }
}

TEST(HomeFragment, SaysWhoWaitedForOthersThatHaveDoneNoMore) {
  Home home("none", true, 3);
  home.bring(0, 1, Values(4, 1.0f), {.done = 10, .at = 1s});
  home.bring(0, 2, Values(4, 1.0f), {.done = 20, .at = 3s});
  home.bring(1, 1, Values(4, 1.0f), {.done = 30, .at = 2s});
  home.bring(2, 1, Values(4, 1.0f), {.done = 20, .at = 5s});
  EXPECT_EQ(home.update().leads, (std::vector<Duration>{4s, 3s, 0s}));
  // Of whom nothing is in it nobody waited for.
  home.bring(1, 2, Values(4, 1.0f), {.done = 40, .at = 6s});
  home.bring(2, 2, Values(4, 1.0f), {.done = 50, .at = 9s});
  EXPECT_EQ(home.update().leads, (std::vector<Duration>{0s, 0s, 0s}));
}

TEST(HomeFragment, EncodesTheMeanAndOwesWhatThatLeavesOut) {
  Home home("int4", false, 3);
  Values stepped(4);
  // In four bits 0.7, 0.1 and 0.3 of 0.7 are exact; the mean 0.15 of the second is not.
  for (std::uint64_t number = 1; number <= 20; ++number) {
    home.bring(0, number, {0.7f, 0.1f, 0, 0});
    home.bring(2, number, {0.7f, 0.2f, 0, 0});
    const HomeFragment::Update& update = home.update();
    ASSERT_EQ(update.told.size(), 1u);
    EXPECT_EQ(update.told[0].island, kTogether);
    const Values told = home.decoded(update.told[0]);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(home.change()[i], -told[i]);
      stepped[i] += told[i];
    }
  }
  const auto seen = [](float value) {
    Coder coder(codec::parse_edge("int4").value(), {{1, 4}});
    Values values{0.7f, value, 0, 0};
    EXPECT_TRUE(coder.decode(coder.encode(values, false), false, values).ok());
    return values[1];
  };
  const float mean = (seen(0.1f) + seen(0.2f)) / 2;
  ASSERT_GT(std::abs(seen(mean) - mean), 0.02f);  // what is owed of each
  EXPECT_NEAR(stepped[1], 20 * mean, 0.1);
}

/// What nobody told but of no tokens is no step, though it is counted.
TEST(HomeFragment, TakesNoStepAlongNobodysProgress) {
  Home home("none", true, 2, 0.5);
  home.bring(0, 1, Values(4, 1.0f));
  home.update();
  const Values moving(home->velocity().begin(), home->velocity().end());
  EXPECT_EQ(moving, Values(4, 1.0f));
  home.bring(1, 1, Values(4, 1.0f), true, 0);
  const HomeFragment::Update& update = home.update();
  EXPECT_EQ(home.change(), Values(4, 0.0f));
  EXPECT_EQ(Values(home->velocity().begin(), home->velocity().end()), moving);
  EXPECT_EQ(update.included, (std::vector<std::uint64_t>{1, 1}));
}

/// It has what it told itself, but nothing of what one before it has.
TEST(HomeFragment, GivesOneThatBeganAnewASnapshot) {
  Home home("none", true, 2);
  home.bring(1, 1, Values(4, 1.0f));
  home->left(1);
  home->began_anew(1);
  home.bring(1, 2, Values(4, 1.0f));
  home.bring(0, 1, Values(4, 1.0f));
  const HomeFragment::Update& first = home.update();
  EXPECT_FALSE(home->serves(first, 1));
  EXPECT_TRUE(home->serves(first, 0));
  std::vector<const HomeFragment::Update*> missed;
  EXPECT_TRUE(home->missed(0, 0, missed));
  EXPECT_FALSE(home->missed(1, 0, missed = {}));
  home.bring(1, 3, Values(4, 1.0f));
  EXPECT_TRUE(home->serves(home.update(), 1));
  EXPECT_TRUE(home->missed(1, 1, missed = {}));
  EXPECT_EQ(missed.size(), 1u);
}

/// As of one that ends and begins anew again and again while a quorum is missing.
TEST(HomeFragment, TakesNoMoreTellingsThanItPassesOn) {
  Home home("none", true, 3);
  for (std::uint64_t number = 1; number <= kMostTellings + 2; ++number)
    home.bring(1, number, Values(4, 1.0f));
  EXPECT_EQ(home->received(1), kMostTellings);
  const HomeFragment::Update& update = home.update();
  EXPECT_EQ(update.told.size(), kMostTellings);
  EXPECT_EQ(home.change(), Values(4, -float(kMostTellings)));
  EXPECT_EQ(update.overfull, std::vector<std::uint32_t>{1});
  home.bring(1, kMostTellings + 1, Values(4, 1.0f));
  EXPECT_TRUE(home.update().overfull.empty());
  EXPECT_EQ(home->counted(1), kMostTellings + 1);
}

/// Also of what a line carries once there is no larger letter to be taken.
TEST(HomeFragment, GivesASnapshotWhereThatIsShorter) {
  Home home("none", true, 2);
  for (std::uint64_t number = 1; number <= 3; ++number) home.bring(0, number, Values(4, 1.0f));
  home.bring(1, 1, Values(4, 1.0f));
  const HomeFragment::Update& update = home.update();
  EXPECT_FALSE(home->serves(update, 1));
  EXPECT_TRUE(home->serves(update, 0));
}

TEST(Told, IsReadAsItWasWritten) {
  Bytes payload;
  append(payload, {1, true, 7, 640, Bytes(5, std::byte{9})});
  append(payload, {kTogether, false, 0, 1, {}});
  const auto read = read_told(payload, 2);
  ASSERT_TRUE(read.ok()) << read.error().text();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].island, 1u);
  EXPECT_TRUE((*read)[0].last);
  EXPECT_EQ((*read)[0].number, 7u);
  EXPECT_EQ((*read)[0].tokens, 640u);
  EXPECT_EQ(to_bytes((*read)[0].encoded), Bytes(5, std::byte{9}));
  EXPECT_EQ((*read)[1].island, kTogether);
  EXPECT_FALSE((*read)[1].last);
}

TEST(Told, IsRefusedWhereItCannotBe) {
  Bytes payload;
  append(payload, {1, false, 7, 640, Bytes(5)});
  for (std::size_t end = 1; end < payload.size(); ++end)
    EXPECT_FALSE(read_told(BytesView(payload).first(end), 2).ok()) << end;
  EXPECT_FALSE(read_told(payload, 1).ok());  // there is no island 1
  const auto reads = [](std::vector<Told> all) {
    Bytes many;
    for (const Told& told : all) append(many, told);
    return read_told(many, 2).ok();
  };
  EXPECT_TRUE(reads({{0, false, 1, 1, {}}, {1, false, 1, 1, {}}, {0, false, 2, 1, {}}}));
  EXPECT_FALSE(reads({{0, false, 2, 1, {}}, {0, false, 1, 1, {}}}));
  EXPECT_FALSE(reads({{0, false, 2, 1, {}}, {0, false, 2, 1, {}}}));
  EXPECT_FALSE(reads({{kTogether, false, 0, 1, {}}, {kTogether, false, 1, 1, {}}}));
  std::vector<Told> many;
  for (std::size_t i = 1; i <= kMostTellings; ++i) many.push_back({0, false, i, 1, {}});
  EXPECT_TRUE(reads(many));
  many.push_back({0, false, 99, 1, {}});
  EXPECT_FALSE(reads(many));
}

}  // namespace
}  // namespace reef::actors
