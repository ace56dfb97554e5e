// Training in f32 and in bf16: what is rounded, and what must not be.

#include "ops/nn/trainer.h"

#include <gtest/gtest.h>

#include "tests/unit/ops/support.h"

namespace reef::nn {
namespace {

using ops::DType;
using ops::Tensor;
using ops::ThreadPool;
using ops::testing::integers;
using ops::testing::normal;
using ops::testing::same_bits;

const Parameter kMatrix{"m", {6, 5}, Init::normal(0.02f), true, DType::kBF16};
const Parameter kVector{"v", {7}, Init::ones(), false, DType::kF32};
const ops::Update kFactors{.lr = 0.01f, .weight_decay = 0.1f, .step = 1};

TEST(TrainedParameter, ShowsLayersTheRoundedMaster) {
  ThreadPool context(1);
  const auto matrix = trained(context, kMatrix, 3);
  EXPECT_EQ(matrix.master.dtype(), DType::kF32);
  EXPECT_TRUE(same_bits(matrix.weight(), cast(context, matrix.master, DType::kBF16)));
  const auto vector = trained(context, kVector, 3);
  EXPECT_TRUE(vector.weight().shares(vector.master));
}

TEST(TrainedParameter, UpdatesTheMasterInF32AndRoundsItAnew) {
  ThreadPool context(1);
  const std::vector<TrainedParameter> rounding = {trained(context, kVector, 3),
                                                  trained(context, kMatrix, 3)};
  Parameter wide = kMatrix;
  wide.dtype = DType::kF32;
  const std::vector<TrainedParameter> exact = {trained(context, kVector, 3),
                                               trained(context, wide, 3)};
  const Tensor before = rounding[1].weight().clone(context.pool());
  const std::vector<Tensor> gradients = {normal({7}, "v"), normal({6, 5}, "m")};
  update(context, rounding, gradients, kFactors);
  update(context, exact, gradients, kFactors);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_TRUE(same_bits(rounding[i].master, exact[i].master)) << i;
    EXPECT_TRUE(same_bits(rounding[i].mean, exact[i].mean)) << i;
    EXPECT_TRUE(same_bits(rounding[i].square, exact[i].square)) << i;
  }
  EXPECT_FALSE(same_bits(rounding[1].weight(), before));
  EXPECT_TRUE(same_bits(rounding[1].weight(), cast(context, rounding[1].master, DType::kBF16)));
}

/// More tensors than one call of the op takes, of both sorts in turn.
TEST(TrainedParameter, UpdatesAnyNumberOfThem) {
  ThreadPool context(1);
  const std::size_t count = 2 * ops::kMaxUpdateTensors + 3;
  std::vector<TrainedParameter> all;
  std::vector<Tensor> gradients;
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = i % 2 == 0 ? kMatrix : kVector;
    all.push_back(trained(context, parameter, 3));
    gradients.push_back(normal(ops::Shape(parameter.shape), std::to_string(i)));
  }
  update(context, all, gradients, kFactors);
  for (std::size_t i = 0; i < count; ++i) {
    const TrainedParameter one = trained(context, all[i].parameter, 3);
    update(context, std::array{one}, std::array{gradients[i]}, kFactors);
    EXPECT_TRUE(same_bits(all[i].master, one.master)) << i;
    EXPECT_TRUE(same_bits(all[i].weight(), one.weight())) << i;
  }
}

/// The losses of eight steps on one batch.
std::vector<double> losses(Precision precision) {
  ThreadPool context(1);
  Trainer trainer(
      context,
      GptConfig{.vocab_size = 31, .n_positions = 16, .n_embd = 24, .n_layer = 2, .n_head = 3},
      precision, 1);
  const Tensor tokens = integers({4, 16}, "tokens", 31), targets = integers({4, 16}, "targets", 31);
  std::vector<double> losses;
  for (std::uint64_t step = 1; step <= 8; ++step) {
    losses.push_back(trainer.differentiate(tokens, targets, step));
    trainer.update({.lr = 0.01f, .step = static_cast<std::int64_t>(step)});
  }
  return losses;
}

TEST(Trainer, LearnsInBF16AsInF32) {
  const std::vector<double> wide = losses(Precision::kF32), narrow = losses(Precision::kBF16);
  EXPECT_LT(narrow.back(), narrow.front() - 0.1);
  EXPECT_NE(narrow, wide);
  for (std::size_t i = 0; i < wide.size(); ++i)
    EXPECT_NEAR(narrow[i], wide[i], 0.01 * wide[i]) << i;
}

TEST(Precision, IsReadFromItsOwnNames) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    EXPECT_EQ(precision_named(name_of(precision)), precision);
  }
  for (const char* name : {"", "f32", "FP32", "fp16", "bf16 "}) EXPECT_FALSE(precision_named(name));
}

}  // namespace
}  // namespace reef::nn
