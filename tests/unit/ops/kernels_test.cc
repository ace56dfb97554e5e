// Every CPU kernel against the plain one, on shapes around the tile edges, and on one and three
// threads for the same bits.

#include <gtest/gtest.h>

#include <functional>

#include "ops/cpu/isa/kernels.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::Contexts;
using testing::difference;
using testing::integers;
using testing::normal;
using testing::same_bits;

using Compute = std::function<std::vector<Tensor>(Context&)>;

void expect_agreement(const Compute& compute, double tolerance) {
  Contexts contexts;
  const std::vector<Tensor> expected = compute(contexts.reference);
  const std::vector<Tensor> one = compute(contexts.one);
  const std::vector<Tensor> three = compute(contexts.three);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LE(difference(one[i], expected[i]), tolerance) << "output " << i;
    EXPECT_TRUE(same_bits(one[i], three[i])) << "output " << i;
  }
}

TEST(Kernels, MatmulAgreesInEveryLayout) {
  for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{
           {1, 1, 1}, {3, 5, 7}, {64, 33, 17}, {65, 48, 192}, {200, 64, 130}}) {
    const Tensor bias = normal({n}, "bias");
    expect_agreement(
        [&, m = m, n = n, k = k](Context& context) -> std::vector<Tensor> {
          return {matmul(context, normal({m, k}, "a"), normal({k, n}, "b"), Product::kNN),
                  matmul(context, normal({m, k}, "a"), normal({k, n}, "b"), Product::kNN, bias),
                  matmul(context, normal({m, k}, "a"), normal({n, k}, "b"), Product::kNT),
                  matmul(context, normal({k, m}, "a"), normal({k, n}, "b"), Product::kTN)};
        },
        2e-6);
  }
}

TEST(Kernels, ColumnSumAgrees) {
  for (const std::int64_t columns : {1, 15, 16, 64, 67, 131}) {
    expect_agreement(
        [columns](Context& context) -> std::vector<Tensor> {
          return {column_sum(context, normal({5, 9, columns}, "x"))};
        },
        2e-6);
  }
}

TEST(Kernels, EmbeddingAndItsGradientAgree) {
  expect_agreement(
      [](Context& context) -> std::vector<Tensor> {
        const Tensor tokens = integers({3, 17}, "tokens", 1100);
        const Tensor y =
            embedding(context, tokens, normal({1100, 20}, "wte"), normal({19, 20}, "wpe"));
        const EmbeddingGrad grad = embedding_grad(context, tokens, y, 1100, 19);
        return {y, grad.table, grad.positions};
      },
      1e-6);
}

TEST(Kernels, GeluAndItsGradientAgree) {
  for (const std::int64_t elements : {1, 16, 4099, 40000}) {
    expect_agreement(
        [elements](Context& context) -> std::vector<Tensor> {
          const Tensor x = normal({elements}, "x", 4);
          return {gelu(context, x), gelu_grad(context, x, normal({elements}, "grad"))};
        },
        3e-6);
  }
}

TEST(Kernels, AttentionAndItsGradientAgree) {
  for (const std::int64_t length : {1, 5, 64, 65, 150}) {
    for (const float probability : {0.0f, 0.25f}) {
      expect_agreement(
          [length, probability](Context& context) -> std::vector<Tensor> {
            const Tensor qkv = normal({2, length, 3 * 24}, "qkv");
            const Draw draw{probability, 3, 1, 2, 10};
            AttentionOptions options;
            options.draw = draw;
            const Attention y = packed_attention(context, qkv, 3, options);
            return {y.out, y.log_sum_exp,
                    packed_attention_grad(context, qkv, y, normal({2, length, 24}, "grad"), 3,
                                          options)};
          },
          5e-6);
    }
  }
}

TEST(Kernels, AttentionIsCausal) {
  ThreadPool context(1);
  const Tensor qkv = normal({1, 80, 48}, "qkv");
  const Tensor before = packed_attention(context, qkv, 2, {}).out;
  Tensor changed = qkv.clone(Pool::host());
  changed.values<float>()[79 * 48 + 20] += 1;
  const Tensor after = packed_attention(context, changed, 2, {}).out;
  EXPECT_TRUE(
      same_bits(before.reshape({80, 16}).slice(0, 79), after.reshape({80, 16}).slice(0, 79)));
}

TEST(Kernels, AddAgreesAndAddIntoHasTheSameBits) {
  expect_agreement(
      [](Context& context) -> std::vector<Tensor> {
        const Tensor a = normal({33333}, "a");
        const Tensor b = normal({33333}, "b");
        const Tensor sum = add(context, a, b);
        const Tensor in_place = a.clone(context.pool());
        add_into(context, in_place, b);
        EXPECT_TRUE(same_bits(sum, in_place));
        return {sum};
      },
      0);
}

TEST(Kernels, CrossEntropyAgreesAndSkipsNegativeTargets) {
  Contexts contexts;
  for (const std::int64_t vocabulary : {2, 16, 257}) {
    const Tensor logits = normal({4, 11, vocabulary}, "logits", 5);
    const Tensor targets = integers({4, 11}, "targets", static_cast<std::uint64_t>(vocabulary));
    targets.values<std::int32_t>()[3] = -1;
    const CrossEntropy expected =
        softmax_cross_entropy(contexts.reference, logits, targets, 0.5f, true);
    const CrossEntropy fast = softmax_cross_entropy(contexts.one, logits, targets, 0.5f, true);
    const CrossEntropy alone = softmax_cross_entropy(contexts.three, logits, targets, 0.5f, false);
    EXPECT_EQ(fast.tokens, 43);
    EXPECT_NEAR(fast.loss_sum, expected.loss_sum, 1e-6 * expected.loss_sum);
    EXPECT_EQ(fast.loss_sum, alone.loss_sum);
    EXPECT_FALSE(alone.grad_logits.defined());
    EXPECT_LE(difference(fast.grad_logits, expected.grad_logits), 2e-6);
  }
}

TEST(Kernels, DropoutFollowsTheGlobalSample) {
  Contexts contexts;
  const Draw draw{0.3f, 1, 2, 3, 100};
  const Tensor x = normal({6, 50, 8}, "x");
  const Tensor whole = dropout(contexts.one, x, draw);
  EXPECT_TRUE(same_bits(whole, dropout(contexts.reference, x, draw)));
  Draw later = draw;
  later.first_sample = 104;
  EXPECT_TRUE(same_bits(whole.slice(4, 2), dropout(contexts.three, x.slice(4, 2), later)));
  std::int64_t dropped = 0;
  for (const float value : whole.values<float>()) dropped += value == 0;
  EXPECT_NEAR(static_cast<double>(dropped) / static_cast<double>(x.elements()), 0.3, 0.03);
  Draw other = draw;
  other.step = 3;
  EXPECT_FALSE(same_bits(whole, dropout(contexts.one, x, other)));
}

TEST(Kernels, CastRoundsToNearestEvenAndKeepsNan) {
  Contexts contexts;
  Tensor x = normal({1001}, "x");
  x.values<float>()[0] = NAN;
  x.values<float>()[1] = INFINITY;
  x.values<float>()[2] = 1.00390625f;  // halfway between two bf16: to even, 1
  x.values<float>()[3] = 1.01171875f;  // halfway: to even, 1.015625
  const Tensor half = cast(contexts.one, x, DType::kBF16);
  EXPECT_TRUE(same_bits(half, cast(contexts.reference, x, DType::kBF16)));
  const Tensor back = cast(contexts.one, half, DType::kF32);
  EXPECT_TRUE(same_bits(back, cast(contexts.reference, half, DType::kF32)));
  EXPECT_TRUE(std::isnan(back.values<float>()[0]));
  EXPECT_EQ(back.values<float>()[1], INFINITY);
  EXPECT_EQ(back.values<float>()[2], 1.0f);
  EXPECT_EQ(back.values<float>()[3], 1.015625f);
}

TEST(Kernels, SquareSumAgrees) {
  Contexts contexts;
  for (const std::int64_t elements : {0, 1, 4096, 4097, 20000}) {
    const Tensor x = normal({elements}, "x");
    const double expected = square_sum(contexts.reference, x);
    EXPECT_NEAR(square_sum(contexts.one, x), expected, 1e-12 * expected);
    EXPECT_EQ(square_sum(contexts.one, x), square_sum(contexts.three, x));
  }
}

TEST(Kernels, AdamWFollowsTheFormula) {
  const Update base{.lr = 1e-2f,
                    .beta1 = 0.9f,
                    .beta2 = 0.95f,
                    .epsilon = 1e-8f,
                    .weight_decay = 0.1f,
                    .step = 1,
                    .grad_scale = 0.25f};
  expect_agreement(
      [&base](Context& context) -> std::vector<Tensor> {
        const Tensor master = normal({20003}, "master");
        const Tensor m = Tensor::zeros(Pool::host(), DType::kF32, {20003});
        const Tensor v = Tensor::zeros(Pool::host(), DType::kF32, {20003});
        for (std::int64_t step = 1; step <= 4; ++step) {
          Update factors = base;
          factors.step = step;
          const Tensor grad = normal({20003}, step % 2 == 0 ? "even" : "odd");
          adamw(context, {{&grad, 1}, {&master, 1}, {&m, 1}, {&v, 1}, {}}, factors);
        }
        return {master, m, v};
      },
      1e-6);
  // By hand: after one step both corrected moments are those of the gradient alone.
  ThreadPool context(1);
  const std::vector<float> one{2.0f};
  const std::vector<float> slope{4.0f};
  const Tensor master = Tensor::from<float>(Pool::host(), {1}, one);
  const Tensor m = Tensor::zeros(Pool::host(), DType::kF32, {1});
  const Tensor v = Tensor::zeros(Pool::host(), DType::kF32, {1});
  const Tensor grad = Tensor::from<float>(Pool::host(), {1}, slope);
  adamw(context, {{&grad, 1}, {&master, 1}, {&m, 1}, {&v, 1}, {}}, base);
  EXPECT_NEAR(master.values<float>()[0], 2.0 * (1 - 1e-2 * 0.1) - 1e-2 * 1.0, 1e-6);
  EXPECT_NEAR(m.values<float>()[0], 0.1, 1e-7);
  EXPECT_NEAR(v.values<float>()[0], 0.05, 1e-7);
}

// A cluster may mix processors: what does not go through oneDNN must not tell them apart.
TEST(Kernels, InstructionSetsGiveTheSameBits) {
  std::vector<const cpu::VectorKernels*> sets{&cpu::v2::kVectorKernels};
  if (__builtin_cpu_supports("avx2")) sets.push_back(&cpu::v3::kVectorKernels);
  if (__builtin_cpu_supports("avx512bw")) sets.push_back(&cpu::v4::kVectorKernels);
  const Tensor x = normal({9, 77}, "x", 3);
  const Tensor grad = normal({9, 77}, "grad");
  std::vector<std::vector<float>> results;
  for (const cpu::VectorKernels* set : sets) {
    std::vector<float> out(693 + 77 + 150);
    const auto element = primitive::Element::kF32;
    set->add(element, 693, x.raw(), grad.raw(), out.data());
    set->add_to(element, 693, grad.raw(), out.data());
    set->column_sum(9, 77, 0, 77, x.data<float>(), out.data() + 693);
    set->to_bf16(300, x.data<float>(), out.data() + 770);
    results.push_back(out);
  }
  for (const auto& result : results) {
    EXPECT_EQ(0, std::memcmp(result.data(), results[0].data(), result.size() * sizeof(float)));
  }
}

}  // namespace
}  // namespace reef::ops
