#include "actors/data/format/data_order.h"

#include <gtest/gtest.h>

#include <set>

namespace reef::data {
namespace {

DataOrder order(std::uint64_t seed, std::uint64_t windows, std::uint64_t window = 1,
                std::uint64_t batch = 1) {
  return *DataOrder::make(seed, windows * window + 1, window, batch);
}

TEST(DataOrder, IsAPermutationInEveryEpoch) {
  for (const std::uint64_t windows : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4097}) {
    const DataOrder data = order(11, windows);
    ASSERT_EQ(data.windows(), windows);
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<bool> seen(windows);
      for (std::uint64_t i = 0; i < windows; ++i) {
        const std::uint64_t window = data.permute(epoch, i);
        ASSERT_LT(window, windows);
        ASSERT_FALSE(seen[window]) << windows << ' ' << epoch << ' ' << i;
        seen[window] = true;
      }
    }
  }
}

TEST(DataOrder, DependsOnSeedAndEpochOnly) {
  const auto row = [](const DataOrder& data, std::uint64_t epoch) {
    std::vector<std::uint64_t> row;
    for (std::uint64_t i = 0; i < data.windows(); ++i) row.push_back(data.permute(epoch, i));
    return row;
  };
  EXPECT_EQ(row(order(1, 100), 0), row(order(1, 100), 0));
  EXPECT_NE(row(order(1, 100), 0), row(order(1, 100), 1));
  EXPECT_NE(row(order(1, 100), 0), row(order(2, 100), 0));
}

TEST(DataOrder, VisitsEveryWindowOnceAcrossStepsThatDoNotDivideTheEpoch) {
  const DataOrder data = order(5, 21, 16, 4);
  std::multiset<std::uint64_t> positions;
  for (std::uint64_t number = 0; number < 42; ++number) {
    EXPECT_EQ(data.epoch(number / 4, number % 4), number / 21);
    positions.insert(data.position(number / 4, number % 4));
  }
  for (std::uint64_t window = 0; window < 21; ++window) EXPECT_EQ(positions.count(window * 16), 2u);
}

TEST(DataOrder, LeavesRoomForTheLastTarget) {
  const DataOrder data = *DataOrder::make(1, 64, 16, 1);
  EXPECT_EQ(data.windows(), 3u);  // a fourth would need token 64
  for (std::uint64_t step = 0; step < 3; ++step) EXPECT_LE(data.position(step, 0) + 17, 64u);
}

TEST(DataOrder, ShufflesHugeEpochs) {
  const DataOrder data = order(9, 1'000'000'000'000);
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) seen.insert(data.permute(0, i));
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_GT(*seen.rbegin() - *seen.begin(), 900'000'000'000u);
}

TEST(DataOrder, SpreadsFirstPlacesEvenly) {
  // Chi-squared over 16 windows and 1600 epochs; 15 degrees of freedom, p = 0.001 at 37.7.
  const DataOrder data = order(3, 16);
  std::vector<int> counts(16);
  for (std::uint64_t epoch = 0; epoch < 1600; ++epoch) ++counts[data.permute(epoch, 0)];
  double chi = 0;
  for (const int count : counts) chi += (count - 100.0) * (count - 100.0) / 100.0;
  EXPECT_LT(chi, 37.7);
}

TEST(DataOrder, RefusesTooLittleText) {
  EXPECT_EQ(DataOrder::make(1, 16, 16, 1).error().code, Code::kData);
  EXPECT_EQ(DataOrder::make(1, 0, 16, 1).error().code, Code::kData);
  EXPECT_EQ(DataOrder::make(1, 16, 0, 1).error().code, Code::kJobValue);
  EXPECT_EQ(DataOrder::make(1, 16, 4, 0).error().code, Code::kJobValue);
  EXPECT_TRUE(DataOrder::make(1, 17, 16, 1).ok());
}

TEST(HeldOut, IsReadInOrderAndOverAgain) {
  // Two windows of three with the target behind; the last two tokens are not read.
  for (const std::uint64_t tokens : {7, 8, 9}) {
    EXPECT_EQ(held_out_position(tokens, 3, 0), 0u);
    EXPECT_EQ(held_out_position(tokens, 3, 1), 3u);
    EXPECT_EQ(held_out_position(tokens, 3, 2), 0u);
    EXPECT_EQ(held_out_position(tokens, 3, 5), 3u);
  }
  EXPECT_EQ(held_out_position(10, 3, 2), 6u);
  EXPECT_EQ(held_out_position(4, 3, 9), 0u);
}

}  // namespace
}  // namespace reef::data
