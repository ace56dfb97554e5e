// Groups of a plug-in's devices, on the test device twin. tests/gpu has NCCL's.

#include "collectives/local/device_group.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "collectives/local/shared_memory.h"
#include "tests/unit/scratch_folder.h"

namespace reef::collectives {
namespace {

using namespace std::chrono_literals;

constexpr Rank kWorlds[] = {1, 2, 3, 4, 7};
constexpr std::size_t kLengths[] = {0, 1, 5, 32, 77, 1000};

Deadline soon(Duration in = 5s) { return system_clock().now() + in; }
const ops::Backend& twin() {
  static const ops::Backend backend = ops::load_plugin(ATOLL_TWIN).value();
  return backend;
}

/// Small integers, whose sums are exact in any order.
float value(Rank rank, std::size_t i) { return static_cast<float>((rank + 1) * (i % 13)); }
float total(Rank world, std::size_t i) {
  return static_cast<float>(world * (world + 1) / 2 * (i % 13));
}

/// A member with a buffer on its device.
struct Member {
  std::shared_ptr<ops::Context> context = ops::open_device(twin()).value();
  std::unique_ptr<LocalGroup> group;
  ops::Tensor buffer;

  std::span<float> fill(std::size_t length) {
    std::vector<float> values(length);
    for (std::size_t i = 0; i < length; ++i) values[i] = value(group->rank(), i);
    const auto here = ops::Tensor::from<float>(
        ops::Pool::host(), {static_cast<std::int64_t>(length)}, std::span<const float>(values));
    buffer = ops::to_device(*context, here);
    return {buffer.data<float>(), length};
  }
  std::vector<float> read() const {
    const ops::Tensor here = ops::to_host(*context, buffer);
    const auto values = here.values<float>();
    return {values.begin(), values.end()};
  }
};

void as_threads(Rank world, const std::function<void(Member&)>& work) {
  const Bytes id = make_group_id(twin()).value();
  std::vector<std::thread> threads;
  for (Rank rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      Member member;
      auto joined = join_device_group({twin(), *member.context, id, rank, world}, soon());
      ASSERT_TRUE(joined.ok()) << joined.error().text();
      member.group = std::move(joined).value();
      work(member);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(DeviceGroup, AddsUpWhereTheBuffersLie) {
  for (const Rank world : kWorlds) {
    as_threads(world, [&](Member& member) {
      for (const std::size_t length : kLengths) {
        ASSERT_TRUE(member.group->all_reduce(member.fill(length), soon()).ok());
        const std::vector<float> sums = member.read();
        for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(sums[i], total(world, i)) << i;
      }
    });
  }
}

TEST(DeviceGroup, CutsPartsAsOtherGroupsDo) {
  for (const Rank world : kWorlds) {
    as_threads(world, [&](Member& member) {
      const Rank rank = member.group->rank();
      for (const std::size_t length : kLengths) {
        const Range own = part_of({0, length}, world, rank);
        const std::span<float> buffer = member.fill(length);
        ASSERT_TRUE(member.group->reduce_scatter(buffer, soon()).ok());
        std::vector<float> now = member.read();
        for (std::size_t i = 0; i < length; ++i) {
          const bool mine = i >= own.begin && i < own.end;
          ASSERT_EQ(now[i], mine ? total(world, i) : value(rank, i)) << i;
        }
        ASSERT_TRUE(member.group->all_gather(buffer, soon()).ok());
        now = member.read();
        for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(now[i], total(world, i)) << i;
        const Rank root = static_cast<Rank>(length) % world;
        ASSERT_TRUE(member.group->broadcast(member.fill(length), root, soon()).ok());
        now = member.read();
        for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(now[i], value(root, i)) << i;
      }
    });
  }
}

TEST(DeviceGroup, SaysThatItsSumsFollowNoTree) {
  as_threads(1, [](Member& member) {
    EXPECT_FALSE(member.group->is_reproducible());
    EXPECT_EQ(member.group->device(), twin().device);
  });
  const ScratchFolder folder;
  const auto shared = join_shared_memory({(folder / "group").string(), 0, 1, 64}, soon());
  EXPECT_TRUE((*shared)->is_reproducible());
  EXPECT_EQ((*shared)->device(), ops::Device::kCpu);
}

TEST(DeviceGroup, AFailureStays) {
  as_threads(2, [](Member& member) {
    if (member.group->rank() == 1) return;  // goes, or does not come again
    const std::span<float> buffer = member.fill(5);
    const Status lost = member.group->all_reduce(buffer, soon());
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().code, Code::kPeerLost);
    EXPECT_EQ(member.group->broadcast(buffer, 0, soon()).error(), lost.error());
    EXPECT_EQ(member.group->all_gather(buffer, soon()).error(), lost.error());
  });
}

TEST(DeviceGroup, SaysWhoseFaultItIsThatThereIsNone) {
  Member member;
  const Bytes id = make_group_id(twin()).value();
  const auto alone = join_device_group({twin(), *member.context, id, 0, 2}, soon(20ms));
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.error().code, Code::kTimedOut);
  const auto cut = join_device_group(
      {twin(), *member.context, BytesView(id).first(id.size() - 1), 0, 1}, soon());
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, Code::kUsage);
  const auto none = make_group_id(ops::load_plugin(ATOLL_APART).value());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().text(),
            "E_NO_FIT: device apart: its plug-in was built without a library for groups of "
            "devices");
}

}  // namespace
}  // namespace reef::collectives
