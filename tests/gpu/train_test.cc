// A GPT trained for a few steps, on the GPU and on the CPU.

#include <gtest/gtest.h>

#include "ops/cpu/thread_pool.h"
#include "ops/nn/trainer.h"
#include "tests/gpu/compare.h"
#include "tests/gpu/device.h"

namespace reef::nn {
namespace {

using ops::Context;
using ops::DType;
using ops::Tensor;
using ops::ThreadPool;

GptConfig small(float dropout) {
  return {.vocab_size = 211,
          .n_positions = 48,
          .n_embd = 64,
          .n_layer = 2,
          .n_head = 4,
          .embd_pdrop = dropout,
          .attn_pdrop = dropout,
          .resid_pdrop = dropout};
}

Tensor tokens_on(Context& context, const std::string& name) {
  const ops::gpu::Case drawn{
      name, ops::Op::kCopy, {{ops::Shape{4, 48}, ops::gpu::Fill::kIndex, 211}}};
  const Tensor tokens = ops::gpu::inputs_of(drawn, DType::kF32)[0];
  return is_host(context.device()) ? tokens : to_device(context, tokens);
}

std::vector<double> losses_on(Context& context, Precision precision, float dropout) {
  Trainer trainer(context, small(dropout), precision, 5);
  const Tensor tokens = tokens_on(context, "tokens");
  const Tensor targets = tokens_on(context, "targets");
  std::vector<double> losses;
  ops::Update factors;
  for (std::uint64_t step = 1; step <= 4; ++step) {
    losses.push_back(trainer.differentiate(tokens, targets, step));
    factors.step = static_cast<std::int64_t>(step);
    trainer.update(factors);
  }
  return losses;
}

void expect_like_the_cpu(Precision precision, float dropout, double tolerance) {
  ThreadPool cpu(2);
  const std::vector<double> expected = losses_on(cpu, precision, dropout);
  const std::vector<double> losses = losses_on(ops::gpu::context(), precision, dropout);
  EXPECT_LT(losses.back(), losses.front());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(losses[i], expected[i], tolerance * expected[i]) << "step " << i + 1;
  }
}

TEST(GpuTraining, FollowsTheCpu) {
  ATOLL_NEED_GPU();
  expect_like_the_cpu(Precision::kF32, 0, 1e-4);
}

TEST(GpuTraining, DropsWhatTheCpuDrops) {
  ATOLL_NEED_GPU();
  expect_like_the_cpu(Precision::kF32, 0.2f, 1e-4);
}

TEST(GpuTraining, FollowsTheCpuInBf16) {
  ATOLL_NEED_GPU();
  expect_like_the_cpu(Precision::kBF16, 0, 1e-2);
}

TEST(GpuTraining, GivesTheSameBitsTwice) {
  ATOLL_NEED_GPU();
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    EXPECT_EQ(losses_on(ops::gpu::context(), precision, 0.1f),
              losses_on(ops::gpu::context(), precision, 0.1f));
  }
}

}  // namespace
}  // namespace reef::nn
