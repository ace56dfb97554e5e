// Elementwise ops, reductions, scans and updates through the catalog: the CPU's kernels against the
// plain ones in every element type, over broadcast and transposed inputs, on one and three threads.

#include <gtest/gtest.h>

#include <string>

#include "ops/catalog/catalog.h"
#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::Contexts;
using testing::expect_agreement;
using testing::normal;
using testing::values;

constexpr DType kFloating[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64};
constexpr DType kNumeric[] = {DType::kF32, DType::kBF16, DType::kF16,
                              DType::kF64, DType::kI32,  DType::kI64};

TEST(CpuFamilies, UnaryOpsAgree) {
  for (const DType dtype : kFloating) {
    const Tensor x = values(dtype, {7, 30, 90}, "x");
    for (Op op = Op::kNeg; op <= Op::kSilu; op = static_cast<Op>(static_cast<int>(op) + 1)) {
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            const bool positive = op == Op::kLog || op == Op::kSqrt || op == Op::kRsqrt;
            const Tensor given = positive ? affine(context, unary(context, Op::kAbs, x), 1, 1) : x;
            return {unary(context, op, given), unary(context, op, given.transpose(0, 2)),
                    unary(context, op, given.narrow(1, 3, 20))};
          },
          std::string(name_of(op)));
    }
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> { return {affine(context, x, 2.5, -0.75)}; },
        "affine");
  }
}

/// A row, a column, a scalar, both repeated, neither.
const std::pair<Shape, Shape> kBroadcasts[] = {{{70, 600}, {600}},       {{70, 600}, {70, 1}},
                                               {{600}, {70, 600}},       {{70, 33}, {}},
                                               {{5, 1, 7}, {5, 300, 1}}, {{20000}, {20000}}};

TEST(CpuFamilies, BinaryOpsAgreeOverBroadcasts) {
  for (const DType dtype : kNumeric) {
    for (const auto& [left, right] : kBroadcasts) {
      const Tensor a = values(dtype, left, "a");
      const Tensor b = values(dtype, right, "b");
      for (const Op op : {Op::kAdd, Op::kSub, Op::kMul, Op::kDiv, Op::kMaximum, Op::kMinimum,
                          Op::kEqual, Op::kLess, Op::kLessEqual}) {
        if (op == Op::kDiv && !is_floating(dtype)) continue;
        expect_agreement(
            [&](Context& context) -> std::vector<Tensor> { return {binary(context, op, a, b)}; },
            std::string(name_of(op)) + " " + left.text() + " " + right.text());
      }
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            return {where(context, binary(context, Op::kLess, a, b), a, b)};
          },
          "where " + left.text() + " " + right.text());
    }
  }
}

TEST(CpuFamilies, GatesAndTheirGradientsAgree) {
  for (const DType dtype : kFloating) {
    const Tensor gate = values(dtype, {40, 500}, "gate");
    const Tensor up = values(dtype, {40, 500}, "up");
    const Tensor grad = values(dtype, {500, 40}, "grad").transpose(0, 1);
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> {
          const SwiGluGrad grads = swiglu_grad(context, gate, up, grad);
          const GeluAndGrad both = gelu_and_grad(context, gate, grad);
          return {gelu_grad(context, gate, grad),
                  silu_grad(context, gate, grad),
                  swiglu(context, gate, up),
                  grads.gate,
                  grads.up,
                  both.y,
                  both.grad};
        },
        "gates");
  }
}

TEST(CpuFamilies, CopiesAndCastsAgree) {
  for (const DType from : kNumeric) {
    const Tensor x = values(from, {30, 4, 70}, "x").transpose(0, 2);
    for (const DType to : kNumeric) {
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            return {contiguous(context, x), contiguous(context, cast(context, x, to))};
          },
          "cast from " + std::string(name_of(from)));
    }
  }
}

TEST(CpuFamilies, ReductionsAgreeOverAnyAxes) {
  for (const DType dtype : kNumeric) {
    const Tensor x = values(dtype, {4, 3, 5, 2, 6}, "x");
    for (Axes axes = 0; axes < 32; ++axes) {
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            return {sum(context, x, axes), max(context, x, axes)};
          },
          "reduction over " + std::to_string(axes));
    }
  }
}

TEST(CpuFamilies, LongReductionsAgree) {
  const std::pair<Shape, Axes> cases[] = {{{50'000}, 1},     {{9000, 3}, 1},    {{9000, 3}, 3},
                                          {{3, 9000, 2}, 2}, {{2, 3, 9001}, 5}, {{300, 200}, 1},
                                          {{300, 200}, 2},   {{0, 3}, 1}};
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI64}) {
    for (const auto& [shape, axes] : cases) {
      const Tensor x = values(dtype, shape, "x");
      expect_agreement(
          [&, axes = axes](Context& context) -> std::vector<Tensor> {
            std::vector<Tensor> results{sum(context, x, axes)};
            if (x.elements() > 0) results.push_back(max(context, x, axes));
            return results;
          },
          "reduction of " + shape.text());
    }
  }
}

TEST(CpuFamilies, SquareSumsAndArgMaxAgree) {
  for (const DType dtype : kFloating) {
    const Tensor x = values(dtype, {70, 130}, "x");
    Contexts contexts;
    const double expected = square_sum(contexts.reference, x);
    EXPECT_NEAR(square_sum(contexts.one, x), expected, 1e-12 * expected);
    EXPECT_EQ(square_sum(contexts.one, x), square_sum(contexts.three, x));
    expect_agreement([&](Context& context) -> std::vector<Tensor> { return {arg_max(context, x)}; },
                     "arg_max");
  }
}

TEST(CpuFamilies, SquareSumsOfPiecesAreThoseOfTheWhole) {
  const Tensor x = values(DType::kF32, {2 * kSquareSumPiece + 5000}, "x");
  Contexts contexts;
  const std::vector<double> sums = square_sums(contexts.three, x);
  ASSERT_EQ(sums.size(), 3u);
  double sum = 0;
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t first = i * kSquareSumPiece;
    const Tensor piece = x.slice(first, std::min(kSquareSumPiece, x.elements() - first));
    EXPECT_EQ(square_sum(contexts.one, piece), sums[static_cast<std::size_t>(i)]);
    sum += sums[static_cast<std::size_t>(i)];
  }
  EXPECT_EQ(square_sum(contexts.one, x), sum);
}

TEST(CpuFamilies, RunningSumsAgreeAlongAnyAxis) {
  for (const DType dtype : kNumeric) {
    const Tensor x = values(dtype, {6, 700, 5}, "x");
    for (std::size_t axis = 0; axis < 3; ++axis) {
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            return {cum_sum(context, x, axis), cum_sum(context, x, axis, true)};
          },
          "cum_sum along " + std::to_string(axis));
    }
  }
}

struct Optimizer {
  void (*step)(Context&, const UpdateTensors&, const Update&);
  /// Shapes of a parameter's states, kind by kind.
  std::vector<Shape> (*states)(const Shape& parameter);
};

std::vector<Shape> one_state(const Shape& shape) { return {shape}; }
std::vector<Shape> two_states(const Shape& shape) { return {shape, shape}; }
std::vector<Shape> factored_states(const Shape& shape) {
  if (shape.rank() < 2) return {shape, Shape{0}};
  return {Shape{shape.rows()}, Shape{shape.back()}};
}

constexpr Optimizer kAdamW{adamw, two_states}, kSgd{sgd, one_state}, kLion{lion, one_state},
    kAdafactor{adafactor, factored_states};

/// Three steps of some tensors, the second of which is not decayed.
std::vector<Tensor> trained(Context& context, const Optimizer& optimizer, DType grad_dtype,
                            bool nesterov = false) {
  const Shape shapes[] = {{130, 170}, {77}, {3, 9}, {2, 3, 50}, {20'011}, {0, 4}, {700, 31}};
  std::vector<Tensor> masters, weights, states[2];
  for (const Shape& shape : shapes) {
    masters.push_back(normal(shape, "master"));
    weights.push_back(Tensor::zeros(Pool::host(), DType::kBF16, shape));
    std::size_t kind = 0;
    for (const Shape& state : optimizer.states(shape)) {
      states[kind++].push_back(Tensor::zeros(Pool::host(), DType::kF32, state));
    }
  }
  Update factors;
  factors.weight_decay = 0.1f;
  factors.grad_scale = 0.5f;
  factors.nesterov = nesterov;
  factors.undecayed[0] = 2;
  for (factors.step = 1; factors.step <= 3; ++factors.step) {
    std::vector<Tensor> gradients;
    for (const Shape& shape : shapes) {
      gradients.push_back(values(grad_dtype, shape, factors.step == 2 ? "even" : "odd"));
    }
    optimizer.step(context, {gradients, masters, states[0], states[1], weights}, factors);
  }
  for (const auto& group : {states[0], states[1], weights}) {
    masters.insert(masters.end(), group.begin(), group.end());
  }
  return masters;
}

TEST(CpuFamilies, UpdatesAgree) {
  for (const DType grad : {DType::kF32, DType::kBF16}) {
    for (const auto& [name, optimizer] :
         {std::pair{"adamw", kAdamW}, {"lion", kLion}, {"adafactor", kAdafactor}}) {
      expect_agreement([&, optimizer = optimizer](
                           Context& context) { return trained(context, optimizer, grad); },
                       name);
    }
    for (const bool nesterov : {false, true}) {
      expect_agreement([&](Context& context) { return trained(context, kSgd, grad, nesterov); },
                       "sgd");
    }
  }
}

}  // namespace
}  // namespace reef::ops
