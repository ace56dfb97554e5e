// The plain kernels that index, move, rotate, attend and draw, against numbers worked out by hand.

#include <gtest/gtest.h>

#include <set>

#include "ops/catalog/draw.h"
#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using namespace testing;

template <typename Body>
void for_dtypes(const Body& body) {
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    SCOPED_TRACE(name_of(static_cast<DType>(i)));
    body(static_cast<DType>(i));
  }
}

TEST(ReferenceIndex, EmbeddingReadsRowsOfAnyFloatingTable) {
  Reference context;
  const Tensor tokens = of(DType::kI32, {2, 2}, {2, 0, 1, 2});
  for (const DType dtype : {DType::kF32, kF64, DType::kBF16, DType::kF16}) {
    const Tensor table = of(dtype, {3, 2}, {1, 2, 3, 4, 5, 6});
    expect_values(embedding(context, tokens, table), {5, 6, 1, 2, 3, 4, 5, 6});
    const Tensor positions = of(dtype, {3, 2}, {10, 20, 30, 40, 50, 60});
    const Tensor y = embedding(context, tokens, table, positions);
    EXPECT_EQ(y.dtype(), dtype);
    expect_values(y, {15, 26, 31, 42, 13, 24, 35, 46});
    const EmbeddingGrad grad = embedding_grad(context, tokens, counting({2, 2, 2}, dtype), 4, 3);
    EXPECT_EQ(grad.table.dtype(), dtype == kF64 ? kF64 : DType::kF32);
    expect_values(grad.table, {2, 3, 4, 5, 0 + 6, 1 + 7, 0, 0});
    expect_values(grad.positions, {0 + 4, 1 + 5, 2 + 6, 3 + 7, 0, 0});
  }
}

TEST(ReferenceIndex, SelectsAndAddsAlongAnAxis) {
  Reference context;
  for (const DType index_dtype : {DType::kI32, DType::kI64}) {
    const Tensor index = of(index_dtype, {3}, {1, 1, 0});
    for_dtypes([&](DType dtype) {
      const Tensor x = of(dtype, {2, 2}, {0, 1, 1, 0});
      expect_values(index_select(context, x, 0, index), {1, 0, 1, 0, 0, 1});
      expect_values(index_select(context, x, 1, index), {1, 1, 0, 0, 0, 1});
    });
    for (const DType dtype : {DType::kF32, kF64, DType::kBF16, DType::kF16}) {
      const Tensor source = of(dtype, {2, 3}, {1, 2, 3, 4, 5, 6});
      const Tensor added = index_add(context, index, source, 1, 4);
      EXPECT_EQ(added.dtype(), dtype);
      expect_values(added, {3, 1 + 2, 0, 0, 6, 4 + 5, 0, 0});
      expect_values(index_add(context, index, source.reshape({3, 2}), 0, 2), {5, 6, 4, 6});
    }
  }
}

TEST(ReferenceIndex, GathersAndScattersAlongAnAxis) {
  Reference context;
  for (const DType index_dtype : {DType::kI32, DType::kI64}) {
    const Tensor index = of(index_dtype, {2, 3}, {1, 0, 1, 0, 0, 1});
    for_dtypes([&](DType dtype) {
      const Tensor x = of(dtype, {2, 2}, {0, 1, 1, 0});
      expect_values(gather(context, x, 1, index), {1, 0, 1, 1, 1, 0});
    });
    expect_values(gather(context, counting({4, 3}), 0, index), {3, 1, 5, 0, 1, 5});
    for (const DType dtype : {DType::kF32, kF64, DType::kBF16, DType::kF16}) {
      const Tensor source = of(dtype, {2, 3}, {1, 2, 3, 4, 5, 6});
      expect_values(scatter_add(context, index, source, 1, 3), {2, 4, 0, 9, 6, 0});
      expect_values(scatter_add(context, index, source, 0, 2), {4, 7, 0, 1, 0, 9});
    }
  }
}

TEST(ReferenceIndexDeathTest, EndsTheProcessOutOfRange) {
  Reference context;
  const Tensor x = counting({2, 2});
  const Tensor far = of(DType::kI32, {1}, {2});
  const Tensor negative = of(DType::kI64, {1, 2}, {0, -1});
  EXPECT_DEATH(index_select(context, x, 0, far), "index 2 of 2");
  EXPECT_DEATH(gather(context, x, 0, negative), "index -1 of 2");
  EXPECT_DEATH(index_add(context, far, counting({1}), 0, 2), "index 2 of 2");
  EXPECT_DEATH(embedding(context, of(DType::kI32, {1, 1}, {2}), x), "index 2 of 2");
}

TEST(ReferenceIndex, TopKPutsTiesByPlaceAndNanFirst) {
  Reference context;
  for (const DType dtype : {DType::kF32, kF64, DType::kBF16}) {
    const Tensor x = of(dtype, {2, 5}, {3, 7, 3, 7, 1, -1, kNan, kInfinity, kNan, -kInfinity});
    const TopK top = top_k(context, x, 4);
    expect_values(top.values, {7, 7, 3, 3, kNan, kNan, kInfinity, -1});
    expect_values(top.places, {1, 3, 0, 2, 1, 3, 2, 0});
    EXPECT_EQ(top.places.dtype(), DType::kI32);
    const Tensor greatest = arg_max(context, x);
    EXPECT_EQ(greatest.shape(), Shape{2});
    expect_values(greatest, {1, 1});
  }
}

TEST(ReferenceMove, PadsAndConcatsAnyDtype) {
  Reference context;
  for_dtypes([&](DType dtype) {
    const Tensor x = of(dtype, {2, 2}, {0, 1, 1, 0});
    expect_values(pad(context, x, 1, 1, 2, 1), {1, 0, 1, 1, 1, 1, 1, 0, 1, 1});
    expect_values(pad(context, x, 0, 0, 1), {0, 1, 1, 0, 0, 0});
    const std::array parts{x, of(dtype, {2, 1}, {1, 1})};
    expect_values(concat(context, parts, 1), {0, 1, 1, 1, 0, 1});
    expect_values(fill(context, dtype, {2}, 1), {1, 1});
  });
}

TEST(ReferenceMove, CastsBetweenAllDtypes) {
  Reference context;
  for_dtypes([&](DType from) {
    for_dtypes([&](DType to) {
      const Tensor y = cast(context, of(from, {3}, {0, 1, 1}), to);
      EXPECT_EQ(y.dtype(), to);
      expect_values(y, {0, 1, 1});
    });
  });
  const Tensor x = of(kF64, {4}, {-2.75, 2.75, 0, kNan});
  expect_values(cast(context, x.narrow(0, 0, 3), DType::kI32), {-2, 2, 0});
  expect_values(cast(context, x, DType::kBool), {1, 1, 0, 1});
}

TEST(ReferenceMove, RoundsToF16) {
  Reference context;
  const struct {
    double value;
    std::uint16_t bits;
  } rows[] = {
      {0, 0x0000},
      {-0.0, 0x8000},
      {1, 0x3C00},
      {-2, 0xC000},
      {65504, 0x7BFF},      // the largest
      {65519.996, 0x7BFF},  // below half of the next step
      {65520, 0x7C00},      // half of it: to even, infinity
      {1e30, 0x7C00},
      {-kInfinity, 0xFC00},
      {0x1p-14, 0x0400},                   // the smallest normal
      {0x1p-24, 0x0001},                   // the smallest denormal
      {0x1.8p-24, 0x0002},                 // a tie: to even
      {0x1p-25, 0x0000},                   // a tie: to even
      {0x1.000002p-25, 0x0001},            // just above it
      {0x1.ff8p-15, 0x03FF},               // the largest denormal
      {0x1.ffcp-15, 0x0400},               // a tie that becomes normal
      {1 + 0x1p-11, 0x3C00},               // a tie: to even
      {1 + 0x3p-11, 0x3C02},               // a tie: to even
      {1 + 0x1p-11 + 0x1p-23, 0x3C01},     // just above the tie
      {1 + 0x1p-11 + 0x1p-40, 0x3C01},     // closer to it than a float can tell
      {-(1 + 0x3p-11 - 0x1p-40), 0xBC01},  // just below the tie
  };
  for (const auto& row : rows) {
    const Tensor half = cast(context, of(kF64, {1}, {row.value}), DType::kF16);
    EXPECT_EQ(half.values<F16>()[0].bits, row.bits) << row.value;
  }
  const Tensor nan = cast(context, of(DType::kF32, {1}, {kNan}), DType::kF16);
  EXPECT_TRUE(std::isnan(nan.values<F16>()[0].value()));
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 half{static_cast<std::uint16_t>(bits)};
    if (std::isnan(half.value())) continue;
    ASSERT_EQ(F16::from(half.value()), half) << bits;
  }
}

TEST(ReferenceMove, RoundsToBF16Once) {
  Reference context;
  // A tie of bf16 and what lies closer to it than a float can tell.
  const double tie = 1 + 0x1p-8;
  const Tensor x = of(kF64, {4}, {tie, tie + 0x1p-40, -(tie + 0x1p-40), 1e39});
  expect_values(cast(context, x, DType::kBF16), {1, 1 + 0x1p-7, -(1 + 0x1p-7), kInfinity}, 1e-12);
}

TEST(ReferenceRope, TurnsPairsByPosition) {
  Reference context;
  // D = 4, base 100: pairs (0, 2) by the position, (1, 3) by a tenth of it.
  const Tensor x = of(kF64, {1, 2, 1, 4}, {1, 2, 3, 4, 1, 0, 0, 1});
  const auto turned = [](double lower, double upper, double angle) {
    return std::array{lower * std::cos(angle) - upper * std::sin(angle),
                      upper * std::cos(angle) + lower * std::sin(angle)};
  };
  const auto a = turned(1, 3, 5);
  const auto b = turned(2, 4, 0.5);
  const auto c = turned(1, 0, 6);
  const auto d = turned(0, 1, 0.6);
  const Tensor y = rope(context, x, 100, 5);
  expect_values(y, {a[0], b[0], a[1], b[1], c[0], d[0], c[1], d[1]}, 1e-12);
  expect_values(rope(context, y, 100, 5, true), values_of(x), 1e-12);
  // The first position does not turn.
  const Tensor f32 = cast(context, x, DType::kF32);
  expect_values(rope(context, f32.narrow(1, 0, 1), 1e4), {1, 2, 3, 4});
}

TEST(ReferenceAttention, WeighsWhatAQuerySees) {
  Reference context;
  const Tensor q = of(kF64, {1, 2, 1, 1}, {0, 1});
  const Tensor k = of(kF64, {1, 2, 1, 1}, {0, std::log(3.0)});
  const Tensor v = of(kF64, {1, 2, 1, 1}, {1, 5});
  AttentionOptions options;
  options.scale = 1;
  const Attention causal = attention(context, q, k, v, options);
  expect_values(causal.out, {1, 0.25 * 1 + 0.75 * 5}, 1e-12);
  expect_values(causal.log_sum_exp, {0, std::log(4.0)});
  options.causal = false;
  expect_values(attention(context, q, k, v, options).out, {3, 4}, 1e-12);
  options.mask = of(DType::kI32, {1}, {1});
  expect_values(attention(context, q, k, v, options).out, {1, 1});
  options.mask = of(DType::kBool, {1, 2}, {0, 1});
  expect_values(attention(context, q, k, v, options).out, {5, 5});
  options.mask = of(DType::kBool, {1, 2}, {0, 0});
  const Attention nothing = attention(context, q, k, v, options);
  expect_values(nothing.out, {0, 0});
  expect_values(nothing.log_sum_exp, {-kInfinity, -kInfinity});
}

TEST(ReferenceAttention, GradientsAreSlopes) {
  Reference context;
  // Four heads share two of keys; queries are the last three of five.
  const Tensor q = uneven(kF64, {2, 3, 4, 2}, 1);
  const Tensor k = uneven(kF64, {2, 5, 2, 2}, 2);
  const Tensor v = uneven(kF64, {2, 5, 2, 2}, 3);
  const Tensor grad = uneven(kF64, {2, 3, 4, 2}, 4);
  for (const bool causal : {true, false}) {
    for (const Tensor& mask : {Tensor(), of(DType::kI32, {2}, {3, 5}),
                               of(DType::kBool, {2, 5}, {1, 0, 1, 1, 0, 1, 1, 1, 1, 1})}) {
      AttentionOptions options;
      options.causal = causal;
      options.mask = mask;
      options.draw = {0.3f, 1, 2, 3, 4};
      const auto f = [&] { return inner(attention(context, q, k, v, options).out, grad); };
      const Attention forward = attention(context, q, k, v, options);
      const AttentionGrad grads = attention_grad(context, q, k, v, forward, grad, options);
      expect_values(grads.q, slopes(q, f), 1e-8);
      expect_values(grads.k, slopes(k, f), 1e-8);
      expect_values(grads.v, slopes(v, f), 1e-8);
    }
  }
}

TEST(ReferenceRandom, IsAFunctionOfTheDrawAndTheGlobalSample) {
  Reference context;
  const Draw draw{0, 7, 3, 11, 100};
  const Random uniform_numbers(7, "uniform/11/3");
  const Random normal_numbers(7, "normal/11/3");
  const Tensor u = uniform(context, DType::kF32, {4, 2, 3}, draw);
  const Tensor n = normal(context, DType::kF32, {4, 2, 3}, draw);
  for (std::uint64_t i = 0; i < 24; ++i) {
    EXPECT_EQ(u.values<float>()[i], uniform_numbers.uniform(100 + i / 6, i % 6));
    EXPECT_EQ(n.values<float>()[i], normal_numbers.normal(100 + i / 6, i % 6));
  }
  expect_values(uniform(context, kF64, {4, 2, 3}, draw), values_of(u), 0);
  expect_values(normal(context, kF64, {4, 2, 3}, draw), values_of(n), 0);
  Draw later = draw;
  later.first_sample = 102;
  expect_values(uniform(context, DType::kF32, {2, 2, 3}, later), values_of(u.slice(2, 2)), 0);
  later.op = 12;
  EXPECT_NE(values_of(uniform(context, DType::kF32, {2, 2, 3}, later)), values_of(u.slice(2, 2)));
  expect_values(uniform(context, DType::kF32, Shape{}, draw), {u.values<float>()[0]}, 0);
}

TEST(ReferenceRandom, HasTheMomentsItPromises) {
  Reference context;
  const auto moments = [](const std::vector<double>& values) {
    double mean = 0;
    double square = 0;
    for (const double value : values) {
      mean += value / static_cast<double>(values.size());
      square += value * value / static_cast<double>(values.size());
    }
    return std::pair(mean, square - mean * mean);
  };
  const auto [mean, variance] = moments(values_of(normal(context, kF64, {100, 400}, {})));
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(variance, 1, 0.03);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, kF64}) {
    const std::vector<double> values = values_of(uniform(context, dtype, {100, 400}, {}));
    for (const double value : values) ASSERT_TRUE(value >= 0 && value < 1) << value;
    EXPECT_NEAR(moments(values).first, 0.5, 0.01);
    EXPECT_NEAR(moments(values).second, 1.0 / 12, 0.005);
  }
}

TEST(ReferenceRandom, DropoutKeepsTheSameElementsInEveryDtype) {
  Reference context;
  const Draw draw{0.25f, 1, 2, 3, 4};
  const Tensor ones = fill(context, kF64, {8, 50}, 1);
  const std::vector<double> kept = values_of(dropout(context, ones, draw));
  const std::set<double> factors(kept.begin(), kept.end());
  EXPECT_EQ(factors, (std::set<double>{0, 1.0f / 0.75f}));
  expect_values(dropout(context, cast(context, ones, DType::kF32), draw), kept, 0);
  expect_values(dropout(context, cast(context, ones, DType::kBF16), draw), kept, 4e-3);
}

}  // namespace
}  // namespace reef::ops
