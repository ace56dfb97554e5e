#include "runtime/node/send_time.h"

#include <gtest/gtest.h>

namespace reef::node {
namespace {

TEST(SendTime, LetsASnapshotCrossASlowLine) {
  // Masters and moments of five million parameters at 1 Mbit/s.
  const std::uint64_t snapshot = 12 * 5'000'000;
  EXPECT_GT(send_time(snapshot), std::chrono::seconds(8 * snapshot / 1'000'000));
}

TEST(SendTime, IsAMinuteForWhatIsSmall) {
  EXPECT_EQ(send_time(0), std::chrono::minutes(1));
  EXPECT_EQ(send_time(4096), std::chrono::minutes(1));
}

}  // namespace
}  // namespace reef::node
