#include "runtime/link/line_meter.h"

#include <gtest/gtest.h>

namespace reef::link {
namespace {

using namespace std::chrono_literals;

TransportStats stats(std::uint64_t bytes, Duration busy, bool sending, double burst_rate = 1e9) {
  return {.acknowledged_bytes = bytes,
          .busy = busy,
          .sending = sending,
          .burst_rate = burst_rate,
          .round_trip = 30ms};
}

TEST(LineMeter, KnowsNothingBeforeEnoughWasSent) {
  LineMeter meter;
  meter.sample(stats(0, 0s, false));
  meter.sample(stats(100'000, 200ms, false));
  EXPECT_EQ(meter.now(), (LineNow{0, 30ms}));
}

TEST(LineMeter, DividesWhatWasAcknowledgedByTheTimeInWhichThereWasSomethingToSend) {
  LineMeter meter;
  meter.sample(stats(0, 0s, true));
  meter.sample(stats(500'000, 400ms, false));
  EXPECT_DOUBLE_EQ(meter.now().bits_per_second, 10e6);
}

TEST(LineMeter, FollowsALineThatBecomesSlowAndForgetsOnlyWhatIsOld) {
  LineMeter meter;
  std::uint64_t bytes = 0;
  Duration busy{};
  const auto quarters = [&](int count, std::uint64_t bytes_each) {
    for (int i = 0; i < count; ++i) meter.sample(stats(bytes += bytes_each, busy += 250ms, true));
  };
  quarters(20, 6'250'000);
  EXPECT_DOUBLE_EQ(meter.now().bits_per_second, 200e6);
  quarters(6, 312'500);
  EXPECT_DOUBLE_EQ(meter.now().bits_per_second, 10e6);
  quarters(20, 0);
  EXPECT_LT(meter.now().bits_per_second, 10.1e6) << "silence says nothing of a line";
}

TEST(LineMeter, TakesTheRateOfABurstWhereALineIsMostlyIdle) {
  LineMeter meter;
  meter.sample(stats(0, 0s, false));
  // 10 messages of 140 kB, the last packets of each acknowledged 40 ms late.
  meter.sample(stats(1'400'000, 400ms, false, 8e9));
  EXPECT_DOUBLE_EQ(meter.now().bits_per_second, 8e9);
}

}  // namespace
}  // namespace reef::link
