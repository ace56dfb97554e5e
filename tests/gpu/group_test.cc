// NCCL behind the plug-in's interface. One GPU makes a world of 1, which shows that the calls go
// through and come to an end, and nothing of what happens between GPUs.

#include <gtest/gtest.h>

#include "collectives/local/device_group.h"
#include "tests/gpu/device.h"

namespace reef::collectives {
namespace {

using namespace std::chrono_literals;
using ops::Tensor;

Deadline soon(Duration in = 30s) { return system_clock().now() + in; }

/// Leaves aloud where the build or the machine has no NCCL.
#define ATOLL_NEED_NCCL(id)                                    \
  ATOLL_NEED_GPU();                                            \
  const Result<Bytes> id = make_group_id(ops::gpu::backend()); \
  if (!id.ok() && id.error().code == Code::kNoFit) {           \
    GTEST_SKIP() << "SKIPPED: no NCCL: " << id.error().text(); \
  }                                                            \
  ASSERT_TRUE(id.ok()) << id.error().text()

TEST(NcclGroup, KeepsWhatOneMemberHas) {
  ATOLL_NEED_NCCL(id);
  ops::Context& context = ops::gpu::context();
  auto joined = join_device_group({ops::gpu::backend(), context, *id, 0, 1}, soon());
  ASSERT_TRUE(joined.ok()) << joined.error().text();
  LocalGroup& group = **joined;
  EXPECT_FALSE(group.is_reproducible());
  EXPECT_EQ(group.device(), context.device());
  for (const std::int64_t length : {1, 77, 1 << 20}) {
    Tensor here = Tensor::empty(ops::Pool::host(), ops::DType::kF32, {length});
    for (std::int64_t i = 0; i < length; ++i) here.values<float>()[i] = static_cast<float>(i);
    const Tensor there = ops::to_device(context, here);
    const std::span<float> values{there.data<float>(), static_cast<std::size_t>(length)};
    for (const auto& run :
         {&LocalGroup::all_reduce, &LocalGroup::reduce_scatter, &LocalGroup::all_gather}) {
      const Status status = (group.*run)(values, soon());
      ASSERT_TRUE(status.ok()) << status.error().text();
    }
    ASSERT_TRUE(group.broadcast(values, 0, soon()).ok());
    const Tensor back = ops::to_host(context, there);
    EXPECT_TRUE(std::ranges::equal(back.values<float>(), here.values<float>())) << length;
  }
}

TEST(NcclGroup, GivesUpAtTheDeadlineWhenAMemberDoesNotCome) {
  ATOLL_NEED_NCCL(id);
  const Time before = system_clock().now();
  const auto alone =
      join_device_group({ops::gpu::backend(), ops::gpu::context(), *id, 0, 2}, soon(2s));
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.error().code, Code::kTimedOut) << alone.error().text();
  EXPECT_LT(system_clock().now() - before, 20s);
}

}  // namespace
}  // namespace reef::collectives
