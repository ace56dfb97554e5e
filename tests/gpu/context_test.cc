// The device itself: order of work, copies, memory.

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <future>

#include "ops/functional/functional.h"
#include "tests/gpu/compare.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {
namespace {

TEST(GpuContext, RunsWorkInTheOrderOfTheCalls) {
  ATOLL_NEED_GPU();
  // Blocks of the pool are reused while earlier kernels are still queued.
  Tensor sum = fill(context(), DType::kF32, {1 << 16}, 0);
  for (int i = 1; i <= 200; ++i) {
    sum = add(context(), sum, fill(context(), DType::kF32, {1 << 16}, i));
  }
  const Tensor host = to_host(context(), sum);
  for (const float value : host.values<float>()) ASSERT_EQ(value, 200 * 201 / 2);
}

TEST(GpuContext, ReusesMemory) {
  ATOLL_NEED_GPU();
  const std::shared_ptr<Context> other = another();
  for (int i = 0; i < 10; ++i) fill(*other, DType::kF32, {1 << 20}, i);
  EXPECT_EQ(other->pool().statistics().misses, 1u);
  EXPECT_EQ(other->pool().statistics().bytes_in_use, 0u);
}

TEST(GpuContext, CopiesMoreThanTheStagingBuffersHold) {
  ATOLL_NEED_GPU();
  const std::int64_t elements = (std::int64_t{70} << 20) / 4 + 3;
  const Tensor from = Tensor::empty(Pool::host(), DType::kI32, {elements});
  std::int32_t next = 0;
  for (std::int32_t& value : from.values<std::int32_t>()) value = next++;
  const Tensor there = to_device(context(), from);
  std::memset(from.raw(), 0, from.size_bytes());  // it is ours again
  const Tensor back = to_host(context(), there);
  for (std::int64_t i = 0; i < elements; ++i) {
    ASSERT_EQ(back.values<std::int32_t>()[static_cast<std::size_t>(i)], i);
  }
}

TEST(GpuContext, CallsBackWhenWorkIsDone) {
  ATOLL_NEED_GPU();
  std::promise<void> done;
  const Tensor x = fill(context(), DType::kF32, {1 << 20}, 1);
  sum(context(), x, 1);
  context().when_done([](void* promise) { static_cast<std::promise<void>*>(promise)->set_value(); },
                      &done);
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

TEST(GpuContext, SharesItsGpuWithAnother) {
  ATOLL_NEED_GPU();
  const std::shared_ptr<Context> other = another();
  const Tensor mine = fill(context(), DType::kF32, {1000}, 1);
  const Tensor theirs = fill(*other, DType::kF32, {1000}, 2);
  context().synchronize();
  const Tensor both = add(*other, mine, theirs);
  EXPECT_EQ(to_host(*other, both).values<float>()[999], 3);
}

TEST(GpuContext, OutlivedByItsTensors) {
  ATOLL_NEED_GPU();
  std::shared_ptr<Context> other = another();
  Tensor tensor = fill(*other, DType::kF32, {1000}, 2);
  other.reset();
  tensor = {};
}

TEST(GpuContextDeath, SaysWhatItHadNoMemoryFor) {
  ATOLL_NEED_GPU();
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Tensor::empty(context().pool(), DType::kF32, {std::int64_t{1} << 45}),
               "out of memory on cuda: 140737488355328 bytes wanted");
}

TEST(GpuIndexDeath, EndsTheProcessForAnIndexOutOfRange) {
  ATOLL_NEED_GPU();
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Case test{"select", Op::kIndexSelect, {{{4, 3}}, {{2}, Fill::kIndex, 1}}};
  std::vector<Tensor> in = inputs_of(test, DType::kF32);
  in[1].values<std::int32_t>()[1] = 4;
  EXPECT_DEATH(run_gpu(test.op, in, {}), "");
}

}  // namespace
}  // namespace reef::ops::gpu
