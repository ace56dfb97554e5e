#include "ops/nn/ring_attention.h"

#include <gtest/gtest.h>

#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/ring.h"
#include "tests/unit/ops/values.h"

namespace reef::nn {
namespace {

using ops::Context;
using ops::DType;
using ops::Shape;
using ops::Tensor;
using ops::ThreadPool;
using ops::testing::Contexts;
using ops::testing::difference_of;
using ops::testing::same_bits;
using testing::joined;
using testing::shared_out;

constexpr std::int64_t kTokens = 208;  // 26 in a chunk of four ranks: no multiple of any tile
constexpr std::int64_t kHeads = 6;

/// Queries, keys and values side by side, and the gradient of the result, each of whole sequences.
struct Operands {
  std::int64_t groups;
  Tensor qkv, grad;

  Operands(DType dtype, std::int64_t groups, float scale = 1)
      : groups(groups),
        qkv(ops::testing::values(dtype, {2, kTokens, kHeads + 2 * groups, 20}, "qkv", scale)),
        grad(ops::testing::values(dtype, {2, kTokens, kHeads, 20}, "grad")) {}
  Tensor q() const { return qkv.narrow(2, 0, kHeads); }
  Tensor keys() const { return qkv.narrow(2, kHeads, groups); }
  Tensor values() const { return qkv.narrow(2, kHeads + groups, groups); }
};

struct Results {
  Tensor out, log_sum_exp, grad_qkv;
};

Results whole(Context& context, const Operands& x) {
  const ops::Attention forward = ops::attention(context, x.q(), x.keys(), x.values(), {});
  const Tensor grads = Tensor::empty(context.pool(), x.qkv.dtype(), x.qkv.shape());
  ops::attention_grad(context, x.q(), x.keys(), x.values(), forward, x.grad, {},
                      {grads.narrow(2, 0, kHeads), grads.narrow(2, kHeads, x.groups),
                       grads.narrow(2, kHeads + x.groups, x.groups)});
  return {forward.out, forward.log_sum_exp, grads};
}

Results by_ring(Context& context, const Operands& x, std::int64_t ranks) {
  std::vector<Tensor> q, keys_values;
  for (const Tensor& qkv : shared_out(context, x.qkv, ranks)) {
    q.push_back(qkv.narrow(2, 0, kHeads));  // a view, as it comes out of a packed product
    keys_values.push_back(ops::contiguous(context, qkv.narrow(2, kHeads, 2 * x.groups)));
  }
  const std::vector<ops::Attention> forward = testing::ring_forward(context, q, keys_values);
  std::vector<Tensor> out, log_sum_exp;
  for (const ops::Attention& part : forward) {
    out.push_back(part.out);
    log_sum_exp.push_back(part.log_sum_exp);
  }
  const std::vector<Tensor> grads =
      testing::ring_backward(context, q, keys_values, forward, shared_out(context, x.grad, ranks));
  return {joined(context, out), joined(context, log_sum_exp, 2), joined(context, grads)};
}

/// Of the parts of a tensor of gradients, since keys' are far greater than queries'.
void expect_near(const Results& a, const Results& b, std::int64_t groups, double tolerance) {
  const auto part = [](const Tensor& x, std::int64_t first, std::int64_t count) {
    ThreadPool context(1);
    return ops::contiguous(context, x.narrow(2, first, count));
  };
  EXPECT_LE(difference_of(a.out, b.out), tolerance);
  EXPECT_LE(difference_of(a.log_sum_exp, b.log_sum_exp), 1e-6);
  EXPECT_LE(difference_of(part(a.grad_qkv, 0, kHeads), part(b.grad_qkv, 0, kHeads)), tolerance);
  for (const std::int64_t first : {kHeads, kHeads + groups}) {
    EXPECT_LE(difference_of(part(a.grad_qkv, first, groups), part(b.grad_qkv, first, groups)),
              tolerance);
  }
}

void expect_same(const Results& a, const Results& b) {
  EXPECT_TRUE(same_bits(a.out, b.out));
  EXPECT_TRUE(same_bits(a.log_sum_exp, b.log_sum_exp));
  EXPECT_TRUE(same_bits(a.grad_qkv, b.grad_qkv));
}

std::string describe(DType dtype, std::int64_t groups, std::int64_t ranks) {
  return std::string(ops::name_of(dtype)) + ", " + std::to_string(groups) + " groups, " +
         std::to_string(ranks) + " ranks";
}

TEST(RingAttention, IsWholeAttention) {
  Contexts contexts;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t groups : {kHeads, std::int64_t{2}, std::int64_t{1}}) {
      const Operands x(dtype, groups);
      const Results expected = whole(contexts.one, x);
      for (const std::int64_t ranks : {2, 4}) {
        SCOPED_TRACE(describe(dtype, groups, ranks));
        const Results ring = by_ring(contexts.one, x, ranks);
        expect_near(ring, expected, groups, dtype == DType::kF32 ? 2e-6 : 1.0 / 128);
        expect_same(by_ring(contexts.three, x, ranks), ring);
      }
    }
  }
}

TEST(RingAttention, AgreesWithThePlainKernels) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    ops::testing::expect_agreement(
        [&](Context& context) {
          const Results results = by_ring(context, Operands(dtype, 2), 4);
          return std::vector<Tensor>{results.out, results.log_sum_exp, results.grad_qkv};
        },
        "ring");
  }
}

TEST(RingAttention, OfOneRankHasTheSameBits) {
  ThreadPool context(2);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t groups : {kHeads, std::int64_t{2}}) {
      const Operands x(dtype, groups);
      expect_same(by_ring(context, x, 1), whole(context, x));
    }
  }
}

TEST(RingAttention, TakesScoresOfAnySize) {
  // Scores in the thousands: the sums of one rank are nothing beside another's, or all. Of a
  // log-sum-exp as great f32 keeps three digits behind the point, and so of the weights.
  ThreadPool context(2);
  const Operands x(DType::kF32, 2, 30);
  expect_near(by_ring(context, x, 4), whole(context, x), 2, 1e-3);
}

TEST(RingAttention, LosesNothingInBf16) {
  // Beside f32 on the same operands the ring is hardly further away than undivided attention.
  ThreadPool context(2);
  const Operands x(DType::kBF16, 2);
  Operands wide = x;
  wide.qkv = ops::cast(context, x.qkv, DType::kF32);
  wide.grad = ops::cast(context, x.grad, DType::kF32);
  const Results exact = whole(context, wide);
  const auto error = [&](const Results& results) {
    const Tensor back = ops::cast(context, results.grad_qkv, DType::kF32);
    return difference_of(back, exact.grad_qkv);
  };
  EXPECT_LE(error(by_ring(context, x, 4)), 1.5 * error(whole(context, x)));
}

// The kernels of all devices are held against the plain ones elsewhere; these are held against the
// slopes of undivided attention.
TEST(RingAttention, HasTheGradientsOfDifferences) {
  ops::testing::Reference context;
  constexpr std::int64_t kLength = 8;
  const auto side_by_side = [](std::int64_t heads, double seed) {
    return ops::testing::uneven(DType::kF64, {1, kLength, heads, 2}, seed);
  };
  const Tensor qkv = side_by_side(2 + 2, 1);
  const Tensor grad = side_by_side(2, 2);
  const auto value = [&] {
    const Tensor out =
        ops::attention(context, qkv.narrow(2, 0, 2), qkv.narrow(2, 2, 1), qkv.narrow(2, 3, 1), {})
            .out;
    return ops::testing::inner(out, grad);
  };
  for (const std::int64_t ranks : {1, 2, 4}) {
    std::vector<Tensor> q, keys_values;
    for (const Tensor& part : shared_out(context, qkv, ranks)) {
      q.push_back(part.narrow(2, 0, 2));
      keys_values.push_back(part.narrow(2, 2, 2));
    }
    const std::vector<Tensor> grads = testing::ring_backward(
        context, q, keys_values, testing::ring_forward(context, q, keys_values),
        shared_out(context, grad, ranks));
    // The log-sum-exp is f32.
    ops::testing::expect_values(joined(context, grads), ops::testing::slopes(qkv, value), 1e-6);
  }
}

TEST(RingAttention, AsksTheSystemForNothingInTheSteadyState) {
  ThreadPool context(1);
  const Operands x(DType::kBF16, 2);
  by_ring(context, x, 4);
  const std::uint64_t misses = context.pool().statistics().misses;
  for (int i = 0; i < 3; ++i) by_ring(context, x, 4);
  EXPECT_EQ(context.pool().statistics().misses, misses);
  EXPECT_EQ(context.pool().statistics().bytes_in_use, 0u);
}

TEST(PartOf, IsWhatTheShareHolds) {
  ThreadPool context(1);
  const Tensor tokens = ops::testing::counting({2, 16}, DType::kI32);
  ops::testing::expect_values(part_of(context, {4, 1}, tokens), {2, 3, 12, 13, 18, 19, 28, 29});
  ops::testing::expect_values(part_of(context, {2, 1}, tokens),
                              {4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 25, 26, 27});
  for (const std::int64_t ranks : {1, 2, 4}) {
    EXPECT_TRUE(same_bits(joined(context, shared_out(context, tokens, ranks)), tokens));
  }
}

}  // namespace
}  // namespace reef::nn
