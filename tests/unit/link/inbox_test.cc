#include "runtime/link/channel/inbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

TEST(Coverage, JoinsWhatTouches) {
  Coverage coverage;
  EXPECT_TRUE(coverage.add(0, 10));
  EXPECT_TRUE(coverage.add(20, 30));
  EXPECT_TRUE(coverage.add(40, 50));
  EXPECT_EQ(coverage.size(), 30u);
  EXPECT_EQ(coverage.end(), 50u);
  EXPECT_TRUE(coverage.add(10, 20));
  EXPECT_TRUE(coverage.add(31, 39));
  EXPECT_TRUE(coverage.add(30, 31));
  EXPECT_TRUE(coverage.add(39, 40));
  EXPECT_EQ(coverage.size(), 50u);
  EXPECT_TRUE(coverage.add(50, 50)) << "nothing is no overlap";
}

TEST(Coverage, RefusesAByteTwice) {
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{
           {10, 20}, {9, 11}, {19, 21}, {12, 13}, {5, 25}, {0, 11}, {10, 11}, {19, 20}}) {
    Coverage coverage;
    ASSERT_TRUE(coverage.add(10, 20));
    ASSERT_TRUE(coverage.add(30, 40));
    EXPECT_FALSE(coverage.add(begin, end)) << begin << " to " << end;
  }
}

TEST(Coverage, BoundsItsGaps) {
  Coverage coverage;
  for (std::uint64_t i = 0; i < kMaxGaps; ++i) ASSERT_TRUE(coverage.add(2 * i, 2 * i + 1));
  EXPECT_FALSE(coverage.add(2 * kMaxGaps, 2 * kMaxGaps + 1));
}

TEST(Inbox, MakesMessagesOfFragmentsInAnyOrder) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Inbox inbox(1'000'000, 4);
    std::vector<std::pair<RecordHeader, Bytes>> records;
    for (std::uint64_t number = 1; number <= 20; ++number) {
      const Bytes header = pattern(random() % 100, number),
                  payload = pattern(random() % 3000, number);
      Bytes whole = header;
      whole.insert(whole.end(), payload.begin(), payload.end());
      std::size_t offset = 0;
      do {
        const std::size_t size = std::min<std::size_t>(1 + random() % 700, whole.size() - offset);
        const Fragment fragment{.number = number,
                                .epoch = 3,
                                .kind = static_cast<std::uint16_t>(number),
                                .lane = Lane::kBulk,
                                .header_size = static_cast<std::uint32_t>(header.size()),
                                .payload_size = payload.size(),
                                .offset = offset};
        const auto front = prefix(fragment);
        Bytes body(front.begin(), front.end());
        body.insert(body.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset),
                    whole.begin() + static_cast<std::ptrdiff_t>(offset + size));
        records.emplace_back(record_header(fragment), std::move(body));
        offset += size;
      } while (offset < whole.size());
    }
    std::shuffle(records.begin(), records.end(), random);
    std::uint64_t next = 1;
    for (const auto& [header, body] : records) {
      ASSERT_TRUE(inbox.take(header, body).ok());
      while (const auto message = inbox.next()) {
        EXPECT_EQ(message->kind, next);
        EXPECT_EQ(message->header, pattern(message->header.size(), next));
        EXPECT_EQ(to_bytes(message->payload.view()), pattern(message->payload.size(), next));
        ++next;
      }
    }
    EXPECT_EQ(next, 21u);
  }
}

TEST(Inbox, ReservesNoMoreThanFitsOnALine) {
  Inbox inbox(std::size_t{64} << 20, 1);
  // 2 lanes' worth of every lane and what one stream holds: 544 MiB, eight whole payloads.
  Bytes byte(kFragmentPrefix + 1);
  std::uint64_t number = 1;
  for (; number < 100; ++number) {
    const Fragment fragment{.number = number,
                            .lane = Lane::kBulk,
                            .payload_size = std::uint64_t{64} << 20,
                            .offset = 5};
    const auto front = prefix(fragment);
    std::copy(front.begin(), front.end(), byte.begin());
    const Status status = inbox.take(record_header(fragment), byte);
    if (status.ok()) continue;
    EXPECT_EQ(status.error().code, Code::kProto);
    break;
  }
  EXPECT_EQ(number, 9u);
}

TEST(Inbox, CountsHeadersIntoWhatItReserves) {
  Inbox inbox(1000, 1);
  // Announced whole by one byte each, on every lane: over 256 MiB for 1 MiB sent.
  std::uint64_t reserved = 0;
  Bytes byte(kFragmentPrefix + 1);
  for (std::uint64_t i = 0; i < kLanes * (kMaxAhead - 1); ++i) {
    const Fragment fragment{.number = 2 + i / kLanes,
                            .lane = static_cast<Lane>(i % kLanes),
                            .header_size = kMaxMessageHeader,
                            .offset = kMaxMessageHeader - 1};
    const auto front = prefix(fragment);
    std::copy(front.begin(), front.end(), byte.begin());
    const Status status = inbox.take(record_header(fragment), byte);
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, Code::kProto);
      break;
    }
    reserved += kMaxMessageHeader;
  }
  EXPECT_LE(reserved, std::uint64_t{kMaxInFlight} + 2 * kLanes * (kMaxMessageHeader + 1000));
}

}  // namespace
}  // namespace reef::link
