#include "tests/cluster/wan/line.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

namespace reef::wan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBatch = 250us;
constexpr std::uint32_t kPackets = 200'000;  // of a test of chance

LineSettings line_of(double rate, Duration delay) {
  LineSettings settings;
  settings.rate = rate;
  settings.delay = delay;
  return settings;
}

/// A line on a clock of its own, with everything that it delivered.
struct Bench {
  struct Delivery {
    Time when;
    std::uint32_t number;    ///< that send() wrote into the packet
    std::uint32_t segments;  ///< as the offload header counts them
    std::size_t bytes;
  };

  Budget budget;
  Line line;
  Time now{1h};
  std::vector<Delivery> deliveries;

  explicit Bench(const LineSettings& settings, std::size_t memory = kMemoryLimit,
                 std::uint64_t seed = 1)
      : budget(memory), line(budget, settings, seed, "ab", kBatch) {}

  /// A plain packet of `bytes`, numbered.
  void send(std::uint32_t number, std::size_t bytes = 1500) {
    Bytes packet(bytes);
    store(packet.data() + 4, number);
    line.accept(Offload{}, packet, now);
  }
  /// A super-packet of IPv4 and TCP.
  void send_super(std::uint32_t segments, std::uint32_t segment = 1460) {
    Bytes packet(40 + std::size_t{segments} * segment);
    packet[0] = std::byte{0x45};
    packet[9] = std::byte{6};
    packet[32] = std::byte{0x50};
    Offload offload{};
    offload.flags = Offload::kNeedsChecksum;
    offload.type = Offload::kTcp4;
    offload.segment_bytes = static_cast<std::uint16_t>(segment);
    offload.checksum_start = 20;
    offload.checksum_offset = 16;
    line.accept(offload, packet, now);
  }
  /// Lets time pass as the relay does: it sleeps until the line has something to do.
  void run_until(Time end) {
    for (Time next; (next = line.next(now)) <= end;) {
      now = std::max(now, next);
      line.deliver(now, [this](const Piece& piece) {
        const BytesView head = piece.header_bytes > 0 ? piece.header_view() : piece.payload;
        const std::size_t bytes = piece.header_bytes + piece.payload.size();
        const std::uint32_t segments =
            piece.offload.segment_bytes == 0
                ? 1
                : (bytes - 40 + piece.offload.segment_bytes - 1) / piece.offload.segment_bytes;
        deliveries.push_back({now, load<std::uint32_t>(head.data() + 4), segments, bytes});
      });
    }
    now = end;
  }
};

TEST(Line, ALonePacketArrivesAfterSerialisationAndDelay) {
  Bench bench(line_of(12e6, 50ms));  // 1,500 bytes take 1 ms
  const Time sent = bench.now;
  bench.send(7);
  bench.run_until(sent + 1s);
  ASSERT_EQ(bench.deliveries.size(), 1u);
  EXPECT_EQ(bench.deliveries[0].when, sent + 51ms);
  EXPECT_EQ(bench.deliveries[0].number, 7u);
}

TEST(Line, OverheadTakesTheLinesTime) {
  LineSettings settings = line_of(12e6, 0ms);
  settings.overhead = 1500;
  Bench bench(settings);
  const Time sent = bench.now;
  bench.send(7);
  bench.run_until(sent + 1s);
  EXPECT_EQ(bench.deliveries.at(0).when, sent + 2ms);
}

TEST(Line, CarriesItsRateAndIsLateByABatchAtMost) {
  Bench bench(line_of(100e6, 20ms));  // a packet each 120 us
  const Time began = bench.now;
  for (std::uint32_t i = 0; i < 300; ++i) bench.send(i);
  bench.run_until(began + 1s);
  ASSERT_EQ(bench.deliveries.size(), 300u);
  for (std::uint32_t i = 0; i < 300; ++i) {
    const Time due = began + 20ms + (i + 1) * 120us;
    EXPECT_EQ(bench.deliveries[i].number, i);
    EXPECT_GE(bench.deliveries[i].when, due);
    EXPECT_LE(bench.deliveries[i].when, due + kBatch);
  }
}

TEST(Line, ASuperPacketTakesTheTimeOfItsPackets) {
  Bench bench(line_of(100e6, 20ms));
  const Time began = bench.now;
  bench.send_super(40);
  bench.run_until(began + 1s);
  EXPECT_EQ(bench.line.counters().accepted_bytes, 40u * 1500u);
  EXPECT_EQ(bench.line.counters().delivered, 40u);
  std::uint32_t segments = 0;
  std::size_t payload = 0;
  for (const auto& delivery : bench.deliveries) {
    EXPECT_LE(delivery.segments, 3u);  // 250 us hold two packets and the one that ends them
    segments += delivery.segments;
    payload += delivery.bytes - 40;
  }
  EXPECT_EQ(segments, 40u);
  EXPECT_EQ(payload, 40u * 1460u);
  EXPECT_EQ(bench.deliveries.back().when, began + 20ms + 40 * 120us);
}

TEST(Line, DropsSegmentsWhenTheQueueIsFull) {
  LineSettings settings = line_of(12e6, 10ms);
  settings.queue = 10 * 1500;
  Bench bench(settings);
  const Time began = bench.now;
  bench.send_super(40);
  // One is being sent, ten wait.
  EXPECT_EQ(bench.line.queue_bytes(), 15000u);
  EXPECT_EQ(bench.line.counters().queue_dropped, 29u);
  bench.run_until(began + 4500us);
  bench.send_super(40);
  EXPECT_EQ(bench.line.counters().queue_dropped, 29u + 36u);
  bench.run_until(began + 1s);
  EXPECT_EQ(bench.line.counters().delivered, 15u);
  EXPECT_EQ(bench.line.counters().queue_most_bytes, 15000u);
  EXPECT_EQ(bench.deliveries.back().when, began + 10ms + 15ms);
}

TEST(Line, WithoutAQueueAPacketPassesWhenTheLineIsIdle) {
  LineSettings settings = line_of(12e6, 0ms);
  settings.queue = 0;
  Bench bench(settings);
  bench.send(0);
  bench.send(1);
  bench.run_until(bench.now + 10ms);
  bench.send(2);
  bench.run_until(bench.now + 10ms);
  ASSERT_EQ(bench.deliveries.size(), 2u);
  EXPECT_EQ(bench.deliveries[1].number, 2u);
}

TEST(Line, LosesItsShareOfPacketsAndTheSameOnesForASeed) {
  const auto lost = [](std::uint64_t seed, double loss, bool super) {
    LineSettings settings = line_of(10e9, 0ms);
    settings.loss = loss;
    settings.queue = 1 << 20;
    Bench bench(settings, kMemoryLimit, seed);
    std::vector<bool> arrived(kPackets);
    for (std::uint32_t i = 0; i < kPackets; i += 40) {
      if (super) {
        bench.send_super(40);
      } else {
        for (std::uint32_t k = i; k < i + 40; ++k) bench.send(k);
      }
      bench.run_until(bench.now + 1ms);
    }
    for (const auto& delivery : bench.deliveries) {
      if (!super) arrived[delivery.number] = true;
    }
    EXPECT_EQ(bench.line.counters().accepted, kPackets);
    EXPECT_EQ(bench.line.counters().delivered + bench.line.counters().lost, kPackets);
    return std::pair(bench.line.counters().lost, arrived);
  };
  for (const double loss : {0.0, 0.001, 0.02, 1.0}) {
    const double bound = 5 * std::sqrt(kPackets * loss * (1 - loss));  // five standard deviations
    EXPECT_NEAR(static_cast<double>(lost(1, loss, false).first), kPackets * loss, bound);
    EXPECT_EQ(lost(1, loss, true).first,
              lost(1, loss, false).first);  // by the packet, however they come
  }
  EXPECT_EQ(lost(1, 0.02, false), lost(1, 0.02, false));
  EXPECT_NE(lost(1, 0.02, false).second, lost(2, 0.02, false).second);
}

TEST(Line, ALossCutsASuperPacketInTwo) {
  LineSettings settings = line_of(10e9, 1ms);
  settings.loss = 0.05;
  Bench bench(settings);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t lost = bench.line.counters().lost;
    bench.deliveries.clear();
    bench.send_super(10);
    bench.run_until(bench.now + 10ms);
    const std::uint64_t newly = bench.line.counters().lost - lost;
    std::uint32_t segments = 0;
    for (const auto& delivery : bench.deliveries) segments += delivery.segments;
    EXPECT_EQ(segments + newly, 10u);
    EXPECT_LE(bench.deliveries.size(), newly + 1);
  }
  EXPECT_GT(bench.line.counters().lost, 0u);
}

TEST(Line, JitterKeepsTheOrderUnlessAskedNotTo) {
  for (const bool reorder : {false, true}) {
    LineSettings settings = line_of(1e9, 20ms);
    settings.jitter = 5ms;
    settings.reorder = reorder;
    Bench bench(settings);
    std::vector<Time> sent;
    for (std::uint32_t i = 0; i < 4000; ++i) {
      sent.push_back(bench.now);
      bench.send(i);
      bench.run_until(bench.now + 100us);
    }
    bench.run_until(bench.now + 1s);
    ASSERT_EQ(bench.deliveries.size(), 4000u);
    bool in_order = true;
    Duration least = 1s, most = 0s, sum{};
    for (std::size_t i = 0; i < 4000; ++i) {
      const auto& delivery = bench.deliveries[i];
      in_order = in_order && delivery.number == i;
      const Duration took = delivery.when - sent[delivery.number];
      least = std::min(least, took);
      most = std::max(most, took);
      sum += took;
    }
    EXPECT_EQ(in_order, !reorder);
    EXPECT_GE(least, 15ms);
    EXPECT_LT(least, 17ms);
    EXPECT_LE(most, 25ms + 12us + kBatch);
    EXPECT_GT(most, 23ms);
    EXPECT_NEAR(seconds(sum) / 4000, 0.020, 0.002);
  }
}

TEST(Line, ABlackoutLosesEverythingAndThenPasses) {
  Bench bench(line_of(12e6, 50ms));
  for (std::uint32_t i = 0; i < 10; ++i) bench.send(i);
  bench.run_until(bench.now + 5ms);  // some wait, some are under way
  bench.line.blackout(bench.now + 2s, bench.now);
  bench.run_until(bench.now + 1999ms);
  bench.send(10);
  bench.run_until(bench.now + 1ms);
  bench.send(11);
  bench.run_until(bench.now + 1s);
  ASSERT_EQ(bench.deliveries.size(), 1u);
  EXPECT_EQ(bench.deliveries[0].number, 11u);
  EXPECT_EQ(bench.line.counters().blackout_dropped, 11u);
  EXPECT_EQ(bench.budget.used(), 0u);
}

TEST(Line, ARateThatChangesCountsForWhatStillWaits) {
  Bench bench(line_of(12e6, 10ms));
  const Time began = bench.now;
  for (std::uint32_t i = 0; i < 4; ++i) bench.send(i);
  bench.run_until(began + 1500us);  // the second is being sent
  LineSettings slower = bench.line.settings();
  slower.rate = 6e6;
  bench.line.set(slower, bench.now);
  bench.run_until(began + 1s);
  ASSERT_EQ(bench.deliveries.size(), 4u);
  EXPECT_EQ(bench.deliveries[1].when, began + 12ms);
  EXPECT_EQ(bench.deliveries[2].when, began + 14ms);
  EXPECT_EQ(bench.deliveries[3].when, began + 16ms);
}

TEST(Line, HoldsNoMoreMemoryThanItsBudget) {
  LineSettings settings = line_of(12e6, 10ms);
  settings.queue = 1 << 20;
  Bench bench(settings, 20'000);
  for (std::uint32_t i = 0; i < 100; ++i) bench.send(i);
  EXPECT_LE(bench.budget.used(), 20'000u);
  EXPECT_EQ(bench.line.counters().memory_dropped, 89u);
  bench.run_until(bench.now + 1s);
  EXPECT_EQ(bench.deliveries.size(), 11u);
  EXPECT_EQ(bench.budget.used(), 0u);
}

TEST(Line, WhatCannotBeReadIsCountedAndNothingElse) {
  Bench bench(line_of(12e6, 10ms));
  Offload offload{};
  offload.type = Offload::kTcp4;
  bench.line.accept(offload, Bytes(10), bench.now);
  EXPECT_EQ(bench.line.counters().malformed, 1u);
  EXPECT_EQ(bench.line.counters().accepted, 0u);
  EXPECT_EQ(bench.line.next(bench.now), kNoDeadline);
}

}  // namespace
}  // namespace reef::wan
