// Learning from a teacher's most likely tokens: the loss by hand, and its gradient by differences.

#include "ops/nn/distillation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "ops/cpu/thread_pool.h"
#include "runtime/base/random.h"

namespace reef::nn {
namespace {

using ops::Tensor;

constexpr std::int64_t kRows = 3, kTokens = 9;

Tensor filled(const std::vector<float>& values) {
  Tensor tensor = Tensor::zeros(ops::Pool::host(), ops::DType::kF32, {1, kRows, kTokens});
  std::ranges::copy(values, tensor.values<float>().begin());
  return tensor;
}

std::vector<float> drawn() {
  const Random random(3, "logits");
  std::vector<float> values;
  for (std::uint64_t i = 0; i < kRows * kTokens; ++i) values.push_back(2 * random.normal(0, i));
  return values;
}

/// Two of the rows, one of which leaves nothing for the rest.
const std::vector<std::int32_t> kSaid{1, 4, 7, 0, 8};
const std::vector<float> kProbabilities{0.5f, 0.125f, 0.25f, 0.75f, 0.25f};
std::vector<SoftTarget> targets() {
  const std::span<const std::int32_t> said(kSaid);
  const std::span<const float> probabilities(kProbabilities);
  return {{0, said.first(3), probabilities.first(3)},
          {2, said.subspan(3, 2), probabilities.subspan(3, 2)}};
}

double loss_of(ops::Context& context, const std::vector<float>& logits, double temperature) {
  return distil(context, filled(logits), targets(), temperature, 1, filled({}));
}

TEST(Distillation, IsTheDivergenceOfWhatWasSaidAndOfTheRest) {
  ops::ThreadPool context(1);
  // Of a student that thinks all tokens alike.
  const std::vector<float> even(kRows * kTokens, 0.5f);
  const double first = 0.5 * std::log(0.5 * 9) + 0.125 * std::log(0.125 * 9) +
                       0.25 * std::log(0.25 * 9) + 0.125 * std::log(0.125 * 9 / 6);
  const double second = 0.75 * std::log(0.75 * 9) + 0.25 * std::log(0.25 * 9);
  EXPECT_NEAR(loss_of(context, even, 1), first + second, 1e-6);
  EXPECT_NEAR(loss_of(context, even, 2), 4 * (first + second), 1e-6);
}

TEST(Distillation, NothingIsLeftToLearnFromOneWhoAgrees) {
  ops::ThreadPool context(1);
  std::vector<float> logits(kRows * kTokens, std::log(0.125f / 6));
  for (int i = 0; i < 3; ++i)
    logits[static_cast<std::size_t>(kSaid[i])] = std::log(kProbabilities[i]);
  const Tensor gradient = filled({});
  EXPECT_NEAR(distil(context, filled(logits), {targets().data(), 1}, 1, 1, gradient), 0, 1e-6);
  for (const float value : gradient.values<float>()) EXPECT_NEAR(value, 0, 1e-6);
}

TEST(Distillation, GradientIsThatOfDifferences) {
  ops::ThreadPool context(2);
  for (const double temperature : {1.0, 2.5}) {
    std::vector<float> logits = drawn();
    const Tensor gradient = filled(std::vector<float>(kRows * kTokens, 1));
    constexpr double kScale = 0.25;
    distil(context, filled(logits), targets(), temperature, kScale, gradient);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const float there = logits[i];
      constexpr float kStep = 1e-2f;
      logits[i] = there + kStep;
      const double above = loss_of(context, logits, temperature);
      logits[i] = there - kStep;
      const double below = loss_of(context, logits, temperature);
      logits[i] = there;
      // It is added to what was there.
      EXPECT_NEAR(gradient.values<float>()[i], 1 + kScale * (above - below) / (2 * kStep), 2e-4)
          << i;
    }
    double row = 0;  // a shift of all logits changes nothing
    for (int v = 0; v < kTokens; ++v) row += gradient.values<float>()[v] - 1;
    EXPECT_NEAR(row, 0, 1e-5);
  }
}

TEST(Distillation, StaysFiniteWhereTheStudentIsSure) {
  ops::ThreadPool context(1);
  std::vector<float> logits(kRows * kTokens, 0);
  logits[1] = 500;  // nothing is left for the rest
  const Tensor gradient = filled({});
  EXPECT_TRUE(std::isfinite(distil(context, filled(logits), targets(), 1, 1, gradient)));
  for (const float value : gradient.values<float>()) {
    EXPECT_TRUE(std::isfinite(value));
    EXPECT_LE(std::abs(value), 1);
  }
}

TEST(Distillation, HasTheSameBitsOnAnyNumberOfThreads) {
  std::vector<float> first;
  for (const std::size_t threads : {1u, 3u}) {
    ops::ThreadPool context(threads);
    const Tensor gradient = filled({});
    std::vector<float> found{
        static_cast<float>(distil(context, filled(drawn()), targets(), 2, 1, gradient))};
    found.insert(found.end(), gradient.values<float>().begin(), gradient.values<float>().end());
    if (first.empty()) first = found;
    EXPECT_EQ(found, first);
  }
}

}  // namespace
}  // namespace reef::nn
