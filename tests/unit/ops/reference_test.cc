// The plain kernels of dense, row, pointwise and reducing ops against numbers worked out by hand,
// and of gradients against differences.

#include <gtest/gtest.h>

#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using namespace testing;

TEST(Reference, HasAKernelForEveryOpInF32AndF64) {
  const auto served = [](Op op, DType dtype) {
    return route({op, Device::kReference, dtype, Layout::kRowMajor}).ok();
  };
  for (std::size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const bool by_index = op == Op::kEmbedding || op == Op::kEmbeddingGrad || op == Op::kIndexAdd ||
                          op == Op::kScatterAdd || op == Op::kMaxPool2dGrad;
    for (const DType real : {DType::kF32, DType::kF64}) {
      const DType key = by_index ? DType::kI32 : op == Op::kWhere ? DType::kBool : real;
      EXPECT_TRUE(served(op, key)) << name_of(op) << " " << name_of(key);
    }
  }
}

TEST(Reference, MatmulTakesEachProductBiasAndResidual) {
  Reference context;
  for (const DType dtype : {DType::kF32, kF64, DType::kBF16, DType::kF16}) {
    const Tensor a = of(dtype, {2, 3}, {1, 2, 3, 4, 5, 6});
    const Tensor a_t = of(dtype, {3, 2}, {1, 4, 2, 5, 3, 6});
    const Tensor b = of(dtype, {3, 2}, {1, 0, 0, 1, 2, -1});
    const Tensor b_t = of(dtype, {2, 3}, {1, 0, 2, 0, 1, -1});
    const std::vector<double> product{7, -1, 16, -1};
    expect_values(matmul(context, a, b, Product::kNN), product);
    expect_values(matmul(context, a, b_t, Product::kNT), product);
    expect_values(matmul(context, a_t, b, Product::kTN), product);
    const Tensor bias = of(dtype, {2}, {10, 20});
    expect_values(matmul(context, a, b, Product::kNN, bias), {17, 19, 26, 19});
    const Tensor residual = of(dtype, {2, 2}, {1, 2, 3, 4});
    expect_values(linear_residual(context, a, b, bias, residual), {18, 21, 29, 23});
  }
}

TEST(Reference, MatmulAppliesItsActivationAndKeepsWhatStoodBefore) {
  Reference context;
  const Tensor x = of(kF64, {1, 2}, {1, 2});
  const Tensor weight = of(kF64, {2, 3}, {1, 0, 0, 0, 1, 1});
  const Tensor bias = of(kF64, {3}, {-2, -1.5, 0});  // before: -1, 0.5, 2
  const struct {
    Activation activation;
    std::vector<double> y;
  } rows[] = {{Activation::kNone, {-1, 0.5, 2}},
              {Activation::kRelu, {0, 0.5, 2}},
              {Activation::kSilu, {-0.268941421370, 0.311229665601, 1.761594155956}},
              {Activation::kGelu, {-0.158808009392, 0.345714009825, 1.954597694088}}};
  for (const auto& row : rows) {
    const auto y = linear_activation(context, x, weight, bias, row.activation, true);
    expect_values(y.y, row.y, 1e-11);
    if (row.activation != Activation::kNone) expect_values(y.before, {-1, 0.5, 2});
  }
  // The residual comes after the activation.
  Attributes attributes;
  attributes.to = kF64;
  attributes.activation = Activation::kRelu;
  std::array<Tensor, 1> out;
  run(context, Op::kMatmul, std::array{x, weight, bias, of(kF64, {1, 3}, {-5, -5, -5})}, out,
      attributes);
  expect_values(out[0], {-5, -4.5, -3});
}

TEST(Reference, MatmulSumsHalvesInF32WhenAsked) {
  Reference context;
  // 256 + 1 + 1 is no bf16, and would be 256 if each sum were rounded.
  const Tensor ones = of(DType::kBF16, {3, 1}, {1, 1, 1});
  const Tensor x = of(DType::kBF16, {3, 1}, {256, 1, 1});
  const Tensor sum = matmul_to(context, ones, x, Product::kTN, DType::kF32);
  EXPECT_EQ(sum.dtype(), DType::kF32);
  expect_values(sum, {258});
  const Tensor f32_bias = of(DType::kF32, {1}, {0.5});
  expect_values(matmul(context, ones, of(DType::kBF16, {1, 1}, {2}), Product::kNN, f32_bias),
                {2.5, 2.5, 2.5});
}

TEST(Reference, BatchMatmulMultipliesEachPair) {
  Reference context;
  const Tensor a = of(kF64, {2, 1, 2}, {1, 2, 3, 4});
  const Tensor b = of(kF64, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const std::vector<double> expected{1 + 6, 2 + 8, 15 + 28, 18 + 32};
  expect_values(batch_matmul(context, a, b), expected);
  expect_values(batch_matmul(context, a.transpose(1, 2), b, Product::kTN), expected);
  expect_values(batch_matmul(context, a, b.transpose(1, 2), Product::kNT), expected);
}

TEST(Reference, ColumnSumAddsRows) {
  Reference context;
  expect_values(
      column_sum(context, of(DType::kF32, {2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2})),
      {1 + 4 + 7 + 0, 2 + 5 + 8 + 1, 3 + 6 + 9 + 2});
}

TEST(Reference, UnaryOpsFollowTheirFormulas) {
  Reference context;
  const struct {
    Op op;
    std::vector<double> y;  // of -1, 0.5, 2
  } rows[] = {
      {Op::kNeg, {1, -0.5, -2}},
      {Op::kAbs, {1, 0.5, 2}},
      {Op::kSign, {-1, 1, 1}},
      {Op::kExp, {0.367879441171, 1.648721270700, 7.389056098931}},
      {Op::kLog, {kNan, -0.693147180560, 0.693147180560}},
      {Op::kSqrt, {kNan, 0.707106781187, 1.414213562373}},
      {Op::kRsqrt, {kNan, 1.414213562373, 0.707106781187}},
      {Op::kTanh, {-0.761594155956, 0.462117157260, 0.964027580076}},
      {Op::kSigmoid, {0.268941421370, 0.622459331202, 0.880797077978}},
      {Op::kErf, {-0.842700792950, 0.520499877813, 0.995322265019}},
      {Op::kSin, {-0.841470984808, 0.479425538604, 0.909297426826}},
      {Op::kCos, {0.540302305868, 0.877582561890, -0.416146836547}},
      {Op::kSquare, {1, 0.25, 4}},
      {Op::kRelu, {0, 0.5, 2}},
      {Op::kGelu, {-0.158808009392, 0.345714009825, 1.954597694088}},
      {Op::kSilu, {-0.268941421370, 0.311229665601, 1.761594155956}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(name_of(row.op));
    expect_values(unary(context, row.op, of(kF64, {3}, {-1, 0.5, 2})), row.y, 1e-11);
    expect_values(unary(context, row.op, of(DType::kF32, {3}, {-1, 0.5, 2})), row.y, 2e-7);
    expect_values(unary(context, row.op, of(DType::kBF16, {3}, {-1, 0.5, 2})), row.y, 4e-3);
    expect_values(unary(context, row.op, of(kF64, {1}, {kNan})), {kNan});
  }
  expect_values(unary(context, Op::kSign, of(kF64, {1}, {0})), {0});
  expect_values(affine(context, of(kF64, {2}, {1, -2}), 3, 0.5), {3.5, -5.5});
}

TEST(Reference, BinaryOpsBroadcast) {
  Reference context;
  for (const DType dtype : {DType::kF32, kF64, DType::kI32, DType::kI64}) {
    const Tensor a = of(dtype, {2, 1}, {2, -3});
    const Tensor b = of(dtype, {3}, {1, 2, 4});
    expect_values(add(context, a, b), {3, 4, 6, -2, -1, 1});
    expect_values(sub(context, a, b), {1, 0, -2, -4, -5, -7});
    expect_values(mul(context, a, b), {2, 4, 8, -3, -6, -12});
    expect_values(binary(context, Op::kMaximum, a, b), {2, 2, 4, 1, 2, 4});
    expect_values(binary(context, Op::kMinimum, a, b), {1, 2, 2, -3, -3, -3});
    expect_values(binary(context, Op::kEqual, a, b), {0, 1, 0, 0, 0, 0});
    expect_values(binary(context, Op::kLess, a, b), {0, 0, 1, 1, 1, 1});
    expect_values(binary(context, Op::kLessEqual, a, b), {0, 1, 1, 1, 1, 1});
  }
  expect_values(div(context, of(kF64, {2}, {1, -1}), of(kF64, {2}, {4, 0})), {0.25, -kInfinity});
  // 2^53 + 1 is no double: integers are compared and added as integers.
  const std::int64_t big = (std::int64_t{1} << 53) + 1;
  const Tensor x = Tensor::from<std::int64_t>(Pool::host(), {1}, std::array{big});
  const Tensor one = of(DType::kI64, {1}, {1});
  EXPECT_EQ(sub(context, x, one).values<std::int64_t>()[0], big - 1);
  EXPECT_FALSE(binary(context, Op::kEqual, x, sub(context, x, one)).values<bool>()[0]);
}

TEST(Reference, ExtremaTakeNanAndComparisonsDoNot) {
  Reference context;
  const Tensor a = of(kF64, {3}, {kNan, 1, kNan});
  const Tensor b = of(kF64, {3}, {1, kNan, kNan});
  for (const Op op : {Op::kMaximum, Op::kMinimum}) {
    expect_values(binary(context, op, a, b), {kNan, kNan, kNan});
  }
  for (const Op op : {Op::kEqual, Op::kLess, Op::kLessEqual}) {
    expect_values(binary(context, op, a, b), {0, 0, 0});
  }
}

TEST(Reference, WhereChoosesForAnyDtype) {
  Reference context;
  const Tensor condition = of(DType::kBool, {2, 1}, {1, 0});
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    const Tensor chosen = where(context, condition, of(dtype, {2}, {1, 0}), of(dtype, {1}, {1}));
    EXPECT_EQ(chosen.dtype(), dtype);
    expect_values(chosen, {1, 0, 1, 1});
  }
}

TEST(Reference, PointwiseGradientsAreSlopes) {
  Reference context;
  const Tensor x = uneven(kF64, {3, 4}, 1);
  const Tensor up = uneven(kF64, {3, 4}, 2);
  const Tensor grad = uneven(kF64, {3, 4}, 3);
  expect_values(gelu_grad(context, x, grad),
                slopes(x, [&] { return inner(gelu(context, x), grad); }), 1e-8);
  const GeluAndGrad at_once = gelu_and_grad(context, x, grad);
  expect_values(at_once.y, values_of(gelu(context, x)));
  expect_values(at_once.grad, values_of(gelu_grad(context, x, grad)));
  expect_values(silu_grad(context, x, grad),
                slopes(x, [&] { return inner(silu(context, x), grad); }), 1e-8);
  const auto glu = [&] { return inner(swiglu(context, x, up), grad); };
  const SwiGluGrad both = swiglu_grad(context, x, up, grad);
  expect_values(both.gate, slopes(x, glu), 1e-8);
  expect_values(both.up, slopes(up, glu), 1e-8);
  // silu(1) 3, by hand.
  expect_values(swiglu(context, of(kF64, {1}, {1}), of(kF64, {1}, {3})), {3 * 0.731058578630005});
}

TEST(Reference, LayerNormNormalisesRows) {
  Reference context;
  // Mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5.
  const double inverse = 1 / std::sqrt(3.5 + 0.5);
  for (const DType dtype : {DType::kF32, kF64}) {
    const Tensor weight = of(dtype, {4}, {1, 2, 1, 1});
    const Tensor bias = of(dtype, {4}, {0, 0, 1, 0});
    const LayerNorm norm = layer_norm(context, of(dtype, {1, 4}, {1, 2, 3, 6}), weight, bias, 0.5f);
    const std::vector<double> expected{-2 * inverse, -2 * inverse, 1, 3 * inverse};
    expect_values(norm.y, expected);
    expect_values(norm.statistics, {3, inverse});
    const AddLayerNorm sum = add_layer_norm(context, of(dtype, {1, 4}, {0, 3, 1, 4}),
                                            of(dtype, {1, 4}, {1, -1, 2, 2}), weight, bias, 0.5f);
    expect_values(sum.sum, {1, 2, 3, 6});
    expect_values(sum.y, expected);
    expect_values(sum.statistics, {3, inverse});
  }
  // f32 weights beside bf16 rows.
  const LayerNorm mixed =
      layer_norm(context, of(DType::kBF16, {1, 2}, {-1, 1}), of(DType::kF32, {2}, {1.001, 1}),
                 of(DType::kF32, {2}, {0, 0}), 0);
  EXPECT_EQ(mixed.y.dtype(), DType::kBF16);
  expect_values(mixed.y, {-1, 1}, 1e-9);
}

TEST(Reference, NormGradientsAreSlopes) {
  Reference context;
  const Tensor x = uneven(kF64, {3, 5}, 1);
  const Tensor weight = uneven(kF64, {5}, 2);
  const Tensor bias = uneven(kF64, {5}, 3);
  const Tensor grad = uneven(kF64, {3, 5}, 4);
  const Tensor past = uneven(kF64, {3, 5}, 5);
  const auto layer = [&] {
    return inner(layer_norm(context, x, weight, bias, 0.1f).y, grad) + inner(x, past);
  };
  const Tensor statistics = layer_norm(context, x, weight, bias, 0.1f).statistics;
  const LayerNormGrad grads = layer_norm_grad(context, x, weight, statistics, grad, past);
  expect_values(grads.x, slopes(x, layer), 1e-8);
  expect_values(grads.weight, slopes(weight, layer), 1e-8);
  expect_values(grads.bias, slopes(bias, layer), 1e-8);

  const auto root = [&] { return inner(rms_norm(context, x, weight, 0.1f).y, grad); };
  const Tensor inverse = rms_norm(context, x, weight, 0.1f).inverse;
  const RmsNormGrad of_root = rms_norm_grad(context, x, weight, inverse, grad);
  expect_values(of_root.x, slopes(x, root), 1e-8);
  expect_values(of_root.weight, slopes(weight, root), 1e-8);
}

TEST(Reference, RmsNormDividesByTheRootMeanSquare) {
  Reference context;
  // Mean square (9 + 16) / 2 = 12.5.
  const RmsNorm norm =
      rms_norm(context, of(DType::kF32, {1, 2}, {3, 4}), of(DType::kF32, {2}, {1, 10}), 3.5f);
  expect_values(norm.inverse, {0.25});
  expect_values(norm.y, {0.75, 10});
}

TEST(Reference, SoftmaxAndItsLogarithm) {
  Reference context;
  const double log3 = std::log(3.0);
  const double log4 = std::log(4.0);
  const Tensor x = of(kF64, {2, 3}, {0, log3, log4, 1000, 1000 + log3, 1000 + log4});
  expect_values(softmax(context, x), {0.125, 0.375, 0.5, 0.125, 0.375, 0.5}, 1e-12);
  const std::vector<double> logs{-std::log(8.0), log3 - std::log(8.0), log4 - std::log(8.0)};
  expect_values(log_softmax(context, x), {logs[0], logs[1], logs[2], logs[0], logs[1], logs[2]},
                1e-12);
  expect_values(softmax(context, of(kF64, {1, 2}, {-kInfinity, 5})), {0, 1});

  const Tensor z = uneven(kF64, {2, 4}, 1);
  const Tensor grad = uneven(kF64, {2, 4}, 2);
  expect_values(softmax_grad(context, softmax(context, z), grad),
                slopes(z, [&] { return inner(softmax(context, z), grad); }), 1e-8);
  expect_values(log_softmax_grad(context, log_softmax(context, z), grad),
                slopes(z, [&] { return inner(log_softmax(context, z), grad); }), 1e-8);
}

TEST(Reference, CrossEntropyIsTheLogOfTheTargetsProbability) {
  Reference context;
  const Tensor logits = of(kF64, {3, 2}, {0, std::log(3.0), 5, 5, 1, 2});
  const Tensor targets = of(DType::kI32, {3}, {0, 1, -1});
  const CrossEntropy loss = softmax_cross_entropy(context, logits, targets, 2, true);
  EXPECT_NEAR(loss.loss_sum, std::log(4.0) + std::log(2.0), 1e-12);
  EXPECT_EQ(loss.tokens, 2);
  expect_values(loss.grad_logits, {-1.5, 1.5, 1, -1, 0, 0}, 1e-12);
}

TEST(Reference, LinearCrossEntropyIsItsComposition) {
  Reference context;
  const Tensor x = uneven(kF64, {2, 3, 4}, 1);
  const Tensor weight = uneven(kF64, {7, 4}, 2);
  const Tensor targets = of(DType::kI32, {2, 3}, {0, 6, -1, 3, 3, 1});
  const LinearCrossEntropy fused = linear_cross_entropy(context, x, weight, targets, 0.25f);
  const Tensor logits = matmul(context, x, weight, Product::kNT);
  const CrossEntropy loss = softmax_cross_entropy(context, logits, targets, 0.25f, true);
  EXPECT_NEAR(fused.loss_sum, loss.loss_sum, 1e-12);
  EXPECT_EQ(fused.tokens, 5);
  expect_values(fused.grad_x, values_of(matmul(context, loss.grad_logits, weight, Product::kNN)),
                1e-12);
  expect_values(fused.grad_weight, values_of(matmul(context, loss.grad_logits, x, Product::kTN)),
                1e-12);
}

TEST(Reference, ReductionsAndScans) {
  Reference context;
  for (const DType dtype : {DType::kF32, kF64, DType::kI32, DType::kI64, DType::kF16}) {
    const Tensor x = of(dtype, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, -8});
    const Tensor rows = sum(context, x, 0b101);
    EXPECT_EQ(rows.shape(), (Shape{1, 2, 1}));
    expect_values(rows, {1 + 2 + 5 + 6, 3 + 4 + 7 - 8});
    expect_values(sum(context, x, 0), {1, 2, 3, 4, 5, 6, 7, -8});
    expect_values(max(context, x, 0b010), {3, 4, 7, 6});
    expect_values(max(context, x, all_axes(3)), {7});
    expect_values(cum_sum(context, x, 1), {1, 2, 4, 6, 5, 6, 12, -2});
    expect_values(cum_sum(context, x, 1, true), {4, 6, 3, 4, 12, -2, 7, -8});
  }
  expect_values(sum(context, of(kF64, {0, 2}, {}), 0b01), {0, 0});
  expect_values(max(context, of(kF64, {2, 2}, {1, kNan, kNan, 2}), 0b10), {kNan, kNan});
  expect_values(max(context, of(kF64, {1}, {-kInfinity}), 0b1), {-kInfinity});
  // f32 sums are made in double: 2^24 + 1 + 1.
  expect_values(sum(context, of(DType::kF32, {3}, {16777216, 1, 1}), 0b1), {16777218}, 1e-9);
}

TEST(Reference, SquareSumCutsFixedBlocks) {
  Reference context;
  std::array<Tensor, 1> out;
  const Tensor x = fill(context, kF64, {kSquareSumBlock + 3}, 2);
  run(context, Op::kSquareSum, std::array{x}, out, {});
  expect_values(out[0], {4.0 * kSquareSumBlock, 12});
}

}  // namespace
}  // namespace reef::ops
