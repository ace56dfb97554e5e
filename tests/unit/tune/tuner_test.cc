#include "ops/tune/tuner.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "ops/tune/processor.h"
#include "runtime/base/bytes.h"
#include "runtime/base/file.h"
#include "tests/unit/scratch_folder.h"

namespace reef::ops::tune {
namespace {

/// What the kernels of these tests do: they count, and take as long as they are told.
struct Stage {
  ManualClock clock;
  std::array<std::chrono::microseconds, 3> takes{};
  std::array<int, 3> runs{};
};
Stage stage;

template <std::size_t index>
void kernel(const Call&) {
  stage.clock.advance(stage.takes[index]);
  ++stage.runs[index];
}
template <int per_element>
double estimate(const Call& call) {
  return per_element * static_cast<double>(call.in[0].elements());
}

// A key that no backend serves itself.
constexpr Key kKey{Op::kErf, Device::kReference, DType::kF16, Layout::kRowMajor};
constexpr Entry kEntries[] = {
    {kKey, kernel<0>, "first", 1}, {kKey, kernel<1>, "second", 1}, {kKey, kernel<2>, "third", 1}};
constexpr std::array<const Entry*, 3> kCandidates{&kEntries[0], &kEntries[1], &kEntries[2]};

class TunerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    using std::chrono::microseconds;
    stage.takes = {microseconds(80), microseconds(60), microseconds(70)};
    stage.runs = {};
  }

  static TunerOptions options() { return {.samples = 5, .clock = &stage.clock}; }
  void call(Tuner& tuner, int times, std::span<const Entry* const> candidates = kCandidates,
            std::int64_t elements = 4) {
    const Tensor x = Tensor::empty(Pool::host(), DType::kF16, {elements});
    for (int i = 0; i < times; ++i) tuner.run(candidates, {pool_, {&x, 1}, {&x, 1}, {}});
  }
  static std::string chosen(const Tuner& tuner) { return tuner.decisions().at(0).choice.kernel; }

  ThreadPool pool_{1, Device::kReference};
  ScratchFolder folder_;
};

TEST_F(TunerTest, ChoosesTheFastestAndStaysWithIt) {
  Tuner tuner({}, options());
  call(tuner, 15);
  EXPECT_EQ(chosen(tuner), "");
  call(tuner, 1);  // one to warm up, and five of each
  EXPECT_EQ(chosen(tuner), "second");
  EXPECT_EQ(tuner.decisions()[0].choice.seconds, 60e-6);
  stage.takes[1] *= 100;
  const int before = stage.runs[1];
  call(tuner, 50);
  EXPECT_EQ(stage.runs[1], before + 50);
}

TEST_F(TunerTest, RunsOneKernelOncePerCall) {
  Tuner tuner({}, options());
  for (int calls = 1; calls <= 30; ++calls) {
    call(tuner, 1);
    EXPECT_EQ(stage.runs[0] + stage.runs[1] + stage.runs[2], calls);
  }
}

TEST_F(TunerTest, TakesTheMedianSoThatOneHiccupDoesNotDecide) {
  Tuner tuner({}, options());
  call(tuner, 1);
  for (int i = 0; i < 15; ++i) {
    const auto usual = stage.takes;
    if (i == 3 || i == 9) stage.takes[1] *= 10;
    call(tuner, 1);
    stage.takes = usual;
  }
  EXPECT_EQ(chosen(tuner), "second");
}

TEST_F(TunerTest, GivesUpHopelessCandidatesAfterTwoSamples) {
  stage.takes[0] = std::chrono::milliseconds(5);
  Tuner tuner({}, options());
  call(tuner, 40);
  EXPECT_EQ(stage.runs[0], 1 + 2);  // the first warms up
  EXPECT_EQ(stage.runs[2], 5);
  EXPECT_EQ(chosen(tuner), "second");
}

TEST_F(TunerTest, StaysWithThePreferredWhenLittleIsToBeGained) {
  stage.takes = {std::chrono::microseconds(1000), std::chrono::microseconds(995),
                 std::chrono::microseconds(994)};
  Tuner tuner({}, options());
  call(tuner, 16);
  EXPECT_EQ(chosen(tuner), "first");
}

TEST_F(TunerTest, DecidesForEachShape) {
  Tuner tuner({}, options());
  call(tuner, 16, kCandidates, 4);
  stage.takes[0] = std::chrono::microseconds(1);
  call(tuner, 16, kCandidates, 5);
  const auto decisions = tuner.decisions();
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].choice.kernel, "second");
  EXPECT_EQ(decisions[1].choice.kernel, "first");
}

TEST_F(TunerTest, NeverRunsWhatTheEstimatesRuleOut) {
  const Entry slow{kKey, kernel<0>, "slow", 1, estimate<4>};
  const Entry fair{kKey, kernel<1>, "fair", 1, estimate<3>};
  const Entry best{kKey, kernel<2>, "best", 1, estimate<2>};
  const std::array<const Entry*, 3> candidates{&slow, &fair, &best};
  const Tensor x = Tensor::empty(Pool::host(), DType::kF16, {4});
  const auto worth = worth_measuring(candidates, {pool_, {&x, 1}, {&x, 1}, {}}, 1.5);
  EXPECT_EQ(worth, (std::vector<const Entry*>{&best, &fair}));
  Tuner tuner({}, options());
  call(tuner, 40, candidates);
  EXPECT_EQ(stage.runs[0], 0);
  EXPECT_EQ(chosen(tuner), "fair");
  Tuner strict({}, {.estimate_margin = 1.2, .clock = &stage.clock});
  call(strict, 1, candidates);
  EXPECT_EQ(chosen(strict), "best");  // nothing to measure
}

TEST_F(TunerTest, RemembersAcrossProcesses) {
  {
    Tuner tuner(folder_ / "tune.json", options());
    call(tuner, 16);
    EXPECT_FALSE(tuner.decisions()[0].from_cache);
  }
  stage.runs = {};
  Tuner tuner(folder_ / "tune.json", options());
  call(tuner, 3);
  EXPECT_EQ(stage.runs, (std::array{0, 3, 0}));
  EXPECT_TRUE(tuner.decisions()[0].from_cache);
  EXPECT_EQ(tuner.decisions()[0].choice.seconds, 60e-6);
}

TEST_F(TunerTest, WritesAsSoonAsNoQuestionIsOpen) {
  Tuner tuner(folder_ / "tune.json", options());
  const Cache cache(folder_ / "tune.json");
  call(tuner, 1, kCandidates, 5);
  call(tuner, 16, kCandidates, 4);
  EXPECT_EQ(cache.read(processor_text()).value().size(), 0u);
  call(tuner, 15, kCandidates, 5);
  EXPECT_EQ(cache.read(processor_text()).value().size(), 2u);
}

TEST_F(TunerTest, MeasuresAnewWhenTheCachedKernelIsGone) {
  {
    Tuner tuner(folder_ / "tune.json", options());
    call(tuner, 16);
  }
  Tuner tuner(folder_ / "tune.json", options());
  const std::array<const Entry*, 2> without{&kEntries[0], &kEntries[2]};
  call(tuner, 1 + 2 * 5, without);
  EXPECT_EQ(chosen(tuner), "third");
  EXPECT_FALSE(tuner.decisions()[0].from_cache);
}

TEST_F(TunerTest, WarnsOnceAndWorksOnWithADamagedCache) {
  const std::string damaged = "{\"format\": 1, ";
  ASSERT_TRUE(write_file(folder_ / "tune.json", as_bytes(damaged)).ok());
  {
    Tuner tuner(folder_ / "tune.json", options());
    call(tuner, 16);
    EXPECT_EQ(chosen(tuner), "second");
  }
  EXPECT_EQ(read_file(folder_ / "tune.json").value(), damaged);
}

TEST_F(TunerTest, RefusesCandidatesOfTwoClasses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Entry other{kKey, kernel<1>, "other", 2};
  const std::array<const Entry*, 2> mixed{&kEntries[0], &other};
  Tuner tuner({}, options());
  EXPECT_DEATH(call(tuner, 1, mixed), "add in different orders");
}

TEST_F(TunerTest, IsAskedByTheCatalog) {
  add_kernels(kEntries);
  Tuner tuner({}, options());
  const Tensor x = Tensor::empty(pool_.pool(), DType::kF16, {4});
  {
    const Tuning tuning(tuner);
    for (int i = 0; i < 16; ++i) unary(pool_, Op::kErf, x);
  }
  EXPECT_EQ(chosen(tuner), "second");
  const int before = stage.runs[0];
  unary(pool_, Op::kErf, x);
  EXPECT_EQ(stage.runs[0], before + 1);  // without a chooser the first candidate runs
}

std::array<std::atomic<int>, 2> concurrent_runs;
template <std::size_t index>
void counting(const Call&) {
  ++concurrent_runs[index];
}

TEST_F(TunerTest, ServesContextsThatCallAtOnce) {
  static constexpr Entry kBoth[] = {{kKey, counting<0>, "a", 1}, {kKey, counting<1>, "b", 1}};
  static constexpr std::array<const Entry*, 2> kCounted{&kBoth[0], &kBoth[1]};
  Tuner tuner({});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&tuner] {
      ThreadPool pool(1, Device::kReference);
      for (int calls = 0; calls < 200; ++calls) {
        const Tensor x = Tensor::empty(Pool::host(), DType::kF16, {1 + calls % 7});
        tuner.run(kCounted, {pool, {&x, 1}, {&x, 1}, {}});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(concurrent_runs[0] + concurrent_runs[1], 800);
  EXPECT_EQ(tuner.decisions().size(), 7u);
  for (const auto& decision : tuner.decisions()) EXPECT_NE(decision.choice.kernel, "");
}

}  // namespace
}  // namespace reef::ops::tune
