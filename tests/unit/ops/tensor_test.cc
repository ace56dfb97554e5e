#include "ops/tensor/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "ops/cpu/thread_pool.h"

namespace reef::ops {
namespace {

TEST(Shape, RefusesWhatWouldOverflow) {
  const std::int64_t big = std::int64_t{1} << 40;
  const struct {
    std::vector<std::int64_t> extents;
    bool accepted;
  } rows[] = {
      {{}, true},
      {{0}, true},
      {{2, 3}, true},
      {{-1}, false},
      {{big, 65536}, true},
      {{big, 65537}, false},
      {{big, big}, false},
      {{big, 65536, 0}, true},
      {{big, 0, 65537}, false},
      {{0, big, big}, false},
      {{std::numeric_limits<std::int64_t>::max()}, false},
      {{1, 1, 1, 1, 1, 1, 1, 1}, true},
      {{1, 1, 1, 1, 1, 1, 1, 1, 1}, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Shape::make(row.extents).ok(), row.accepted) << ::testing::PrintToString(row.extents);
  }
}

TEST(Tensor, ViewsShareMemory) {
  Pool pool;
  const Tensor whole = Tensor::zeros(pool, DType::kF32, {4, 3});
  const Tensor rows = whole.slice(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  rows.values<float>()[0] = 5;
  EXPECT_EQ(whole.values<float>()[3], 5);
  EXPECT_EQ(whole.reshape({12}).values<float>()[3], 5);
  const Tensor copy = whole.clone(pool);
  EXPECT_FALSE(copy.shares(whole));
  EXPECT_TRUE(copy.unique());
  EXPECT_FALSE(whole.unique());
}

TEST(Tensor, IsAligned) {
  Pool pool;
  for (const std::int64_t elements : {1, 17, 1000, 100003}) {
    const Tensor tensor = Tensor::empty(pool, DType::kU8, {elements});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.bytes().data()) % Pool::kAlignment, 0u);
    EXPECT_EQ(tensor.size_bytes(), static_cast<std::size_t>(elements));
  }
}

TEST(Pool, ServesTheSecondRequestFromItsCache) {
  Pool pool;
  const std::byte* first = nullptr;
  {
    const Tensor tensor = Tensor::empty(pool, DType::kF32, {1000});
    first = tensor.bytes().data();
    EXPECT_GE(pool.statistics().bytes_in_use, 4000u);
    EXPECT_LE(pool.statistics().bytes_in_use, 5000u);
  }
  EXPECT_EQ(pool.statistics().bytes_in_use, 0u);
  EXPECT_GE(pool.statistics().cached_bytes, 4000u);
  const Tensor again = Tensor::empty(pool, DType::kF32, {1000});
  EXPECT_EQ(again.bytes().data(), first);
  EXPECT_EQ(pool.statistics().hits, 1u);
  EXPECT_EQ(pool.statistics().misses, 1u);
  EXPECT_EQ(pool.statistics().cached_bytes, 0u);
}

TEST(Pool, RemembersItsPeakAndTrims) {
  Pool pool;
  { const auto a = pool.allocate(1 << 20); }
  const auto b = pool.allocate(64);
  EXPECT_EQ(pool.statistics().peak_bytes, std::uint64_t{1} << 20);
  pool.reset_peak();
  EXPECT_EQ(pool.statistics().peak_bytes, 64u);
  pool.trim();
  EXPECT_EQ(pool.statistics().cached_bytes, 0u);
}

TEST(Pool, IsOutlivedByItsBlocks) {
  Tensor tensor;
  {
    Pool pool;
    tensor = Tensor::zeros(pool, DType::kF32, {100});
  }
  tensor.values<float>()[99] = 1;
  EXPECT_EQ(tensor.values<float>()[99], 1);
}

TEST(Pool, WastesAtMostAQuarterAndServesEverySizeAgain) {
  Pool pool;
  for (std::size_t bytes = 1; bytes < 3'000'000; bytes += 1 + bytes / 7) {
    const auto used = [&pool] { return pool.statistics().bytes_in_use; };
    const std::uint64_t misses = pool.statistics().misses;
    std::uint64_t size = 0;
    {
      const auto block = pool.allocate(bytes);
      size = used();
      EXPECT_GE(size, bytes);
      EXPECT_LE(size, std::max<std::uint64_t>(64 * ((bytes + 63) / 64), bytes + bytes / 4));
    }
    const auto block = pool.allocate(bytes);
    EXPECT_EQ(used(), size);
    EXPECT_LE(pool.statistics().misses, misses + 1) << bytes;
  }
  pool.trim();
  EXPECT_EQ(pool.statistics().bytes_in_use, 0u);
}

TEST(Pool, IsSharedByThreadsAndOutlivedByTheirBlocks) {
  std::vector<std::thread> threads;
  {
    Pool pool;
    for (std::size_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([thread, first = pool.allocate(100 + thread), &pool] {
        std::vector<std::shared_ptr<std::byte>> kept;
        for (std::size_t i = 0; i < 500; ++i) {
          kept.push_back(pool.allocate(1 + 37 * ((i + thread) % 50)));
          if (kept.size() > 8) kept.erase(kept.begin());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool.statistics().bytes_in_use, 0u);
    threads.clear();
    for (std::size_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([block = pool.allocate(1000), copy = pool.allocate(1000)]() mutable {
        std::fill_n(block.get(), 1000, std::byte{1});
        block.reset();
      });
    }
  }  // the pool goes while they run
  for (std::thread& thread : threads) thread.join();
}

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const std::size_t threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (std::size_t round = 0; round < 300; ++round) {
      const std::size_t tasks = round % 40;
      std::vector<std::atomic<int>> ran(tasks);
      pool.parallel_for(tasks, [&ran](std::size_t i) { ++ran[i]; });
      for (const auto& count : ran) ASSERT_EQ(count.load(), 1);
    }
  }
}

/// Below the smallest normal number, of factors that the compiler cannot know.
float denormal() {
  volatile float factor = 1e-20f;
  return factor * factor;
}

TEST(ThreadPool, MakesNoDenormalsOnAnyThread) {
  for (const std::size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<float> made(64, 1.0f);
    pool.parallel_for(made.size(), [&made](std::size_t i) { made[i] = denormal(); });
    EXPECT_EQ(made, std::vector<float>(64, 0.0f));
    EXPECT_GT(denormal(), 0.0f);  // the caller's own are as before
  }
}

}  // namespace
}  // namespace reef::ops
