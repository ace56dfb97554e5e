// The fused head and loss: its blocks of rows and words against the plain kernel, what its
// gradients keep of bf16, and how little memory it holds.

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::Contexts;
using testing::expect_agreement;
using testing::integers;
using testing::normal;
using testing::same_bits;
using testing::values;

/// Targets in [0, vocabulary), a few of which count for nothing.
Tensor targets_of(std::int64_t rows, std::int64_t vocabulary) {
  const Tensor targets = integers({rows}, "targets", static_cast<std::uint64_t>(vocabulary));
  for (std::int64_t row = 0; row < rows; row += 7) targets.values<std::int32_t>()[row] = -1;
  return targets;
}

struct Head {
  std::int64_t rows, width, vocabulary;
};

// One of everything; within a block; several blocks of rows; several of words; the fewest rows.
constexpr Head kHeads[] = {
    {2, 1, 1}, {45, 20, 257}, {1100, 3, 40}, {70, 1100, 2000}, {100, 7, 140'001}};

TEST(LinearCrossEntropy, AgreesWithThePlainKernelInAnyBlocks) {
  for (const Head& head : kHeads) {
    const Tensor targets = targets_of(head.rows, head.vocabulary);
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const Tensor x = values(dtype, {head.rows, head.width}, "x");
      const Tensor weight = values(dtype, {head.vocabulary, head.width}, "w", 0.3f);
      // Slopes of bf16 are rounded before they are multiplied.
      const double tolerance = dtype == DType::kBF16 ? 1.0 / 128 : 1e-5;
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            const LinearCrossEntropy loss = linear_cross_entropy(context, x, weight, targets, 0.5f);
            const double sum[] = {loss.loss_sum};
            return {Tensor::from<double>(Pool::host(), {1}, sum), loss.grad_x, loss.grad_weight};
          },
          std::to_string(head.rows) + " rows of " + std::to_string(head.vocabulary), tolerance);
    }
  }
}

TEST(LinearCrossEntropy, SumsTheWeightsGradientInF32) {
  Contexts contexts;
  const Tensor x = values(DType::kBF16, {50, 12}, "x");
  const Tensor weight = values(DType::kBF16, {30, 12}, "w");
  const Tensor targets = targets_of(50, 30);
  for (Context* context :
       {static_cast<Context*>(&contexts.reference), static_cast<Context*>(&contexts.one)}) {
    const Tensor sums = linear_cross_entropy(*context, x, weight, targets, 1).grad_weight;
    ASSERT_EQ(sums.dtype(), DType::kF32);
    const Tensor rounded = cast(*context, cast(*context, sums, DType::kBF16), DType::kF32);
    EXPECT_FALSE(same_bits(sums, rounded));
  }
}

TEST(LinearCrossEntropy, OfNoRowsHasAZeroGradient) {
  ThreadPool context(1);
  const Tensor x = Tensor::empty(Pool::host(), DType::kF32, {0, 3});
  const Tensor targets = Tensor::empty(Pool::host(), DType::kI32, {0});
  const LinearCrossEntropy loss = linear_cross_entropy(context, x, normal({5, 3}, "w"), targets, 1);
  EXPECT_EQ(loss.loss_sum, 0);
  for (const float value : loss.grad_weight.values<float>()) EXPECT_EQ(value, 0);
}

TEST(LinearCrossEntropy, NeverHoldsAllLogits) {
  constexpr std::int64_t kRows = 1200;
  constexpr std::int64_t kVocabulary = 30'000;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    ThreadPool context(3);
    const Tensor x = values(dtype, {kRows, 96}, "x");
    const Tensor weight = values(dtype, {kVocabulary, 96}, "w");
    const LinearCrossEntropy loss =
        linear_cross_entropy(context, x, weight, targets_of(kRows, kVocabulary), 1);
    const std::uint64_t held = context.pool().statistics().bytes_in_use;  // the gradients
    const std::uint64_t scratch = context.pool().statistics().peak_bytes - held;
    EXPECT_GE(held, loss.grad_weight.size_bytes());
    // A block of logits and what a product packs; all logits are 137 MiB, the weight is 11 MiB.
    EXPECT_LE(scratch, 40u << 20);
  }
}

}  // namespace
}  // namespace reef::ops
