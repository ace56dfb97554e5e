// Norms, softmax and cross-entropy: against the plain kernels, and with any instruction set for the
// same bits.

#include <gtest/gtest.h>

#include <limits>

#include "ops/catalog/catalog.h"
#include "ops/cpu/layout.h"
#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/isa_support.h"

namespace reef::ops {
namespace {

using cpu::Index;
using testing::Contexts;
using testing::expect_agreement;
using testing::instruction_sets;
using testing::integers;
using testing::same_bits;
using testing::values;

constexpr float kEpsilon = 1e-5f;
constexpr DType kTrained[] = {DType::kF32, DType::kBF16};
constexpr DType kFloating[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64};

/// None, few and many rows of one, few and many columns, around the ends of vectors and tiles.
std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const std::int64_t columns : {1, 7, 16, 17, 130}) {
    for (const std::int64_t rows : {0, 1, 37, 300}) all.push_back({rows, columns});
  }
  all.push_back({3, 5000});
  all.push_back({130});
  return all;
}

/// The same numbers, columns first in memory.
Tensor turned(Context& context, const Tensor& x) {
  return contiguous(context, x.transpose(0, 1)).transpose(0, 1);
}

TEST(RowKernels, SoftmaxAndItsGradientAgree) {
  for (const DType dtype : kFloating) {
    for (const Shape& shape : shapes()) {
      const Tensor x = values(dtype, shape, "x");
      const Tensor grad = values(dtype, shape, "grad");
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            const Tensor y = softmax(context, x);
            return {y, softmax_grad(context, values(dtype, shape, "y"), grad)};
          },
          "softmax of " + shape.text());
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            return {log_softmax(context, x),
                    log_softmax_grad(context, values(dtype, shape, "y"), grad)};
          },
          "log_softmax of " + shape.text());
    }
  }
}

TEST(RowKernels, SoftmaxAgreesOfRowsThatAreNotContiguous) {
  for (const DType dtype : kTrained) {
    const Tensor x = values(dtype, {9, 40}, "x");
    const Tensor row = values(dtype, {1, 40}, "row").expand({9, 40});
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> {
          return {softmax(context, turned(context, x)), softmax(context, x.narrow(1, 3, 17)),
                  softmax(context, row), softmax_grad(context, x, row),
                  log_softmax_grad(context, row, turned(context, x))};
        },
        "softmax of strided rows");
  }
}

TEST(RowKernels, SoftmaxHasItsLimits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  ThreadPool context(1);
  const std::vector<float> given{-kInfinity, 0, 0, 1000, 0, 0, NAN, 0, 0};
  const Tensor x = Tensor::from<float>(Pool::host(), {3, 3}, given);
  for (const DType dtype : kTrained) {
    const Tensor y = cast(context, softmax(context, cast(context, x, dtype)), DType::kF32);
    const Tensor log_y = cast(context, log_softmax(context, cast(context, x, dtype)), DType::kF32);
    EXPECT_EQ(y.values<float>()[0], 0);
    EXPECT_EQ(y.values<float>()[1], 0.5f);
    EXPECT_EQ(log_y.values<float>()[0], -kInfinity);
    EXPECT_EQ(y.values<float>()[3], 1);
    EXPECT_EQ(log_y.values<float>()[3], 0);
    EXPECT_EQ(log_y.values<float>()[4], -1000);
    for (std::size_t i = 6; i < 9; ++i) {
      EXPECT_TRUE(std::isnan(y.values<float>()[i]) && std::isnan(log_y.values<float>()[i])) << i;
    }
  }
}

TEST(RowKernels, CrossEntropyAgreesAndSkipsNegativeTargets) {
  for (const DType dtype : kFloating) {
    for (const Shape& shape : shapes()) {
      const Tensor logits = values(dtype, shape, "logits");
      const Tensor targets = integers({shape.rows()}, "targets", std::uint64_t(shape.back()));
      if (shape.rows() > 1) targets.values<std::int32_t>()[1] = -1;
      Attributes attributes;
      attributes.scale = 0.5;
      expect_agreement(
          [&](Context& context) {
            std::vector<Tensor> both(2);
            run(context, Op::kCrossEntropyGrad, std::array{logits, targets}, both, attributes);
            std::vector<Tensor> alone(1);
            run(context, Op::kCrossEntropy, std::array{logits, targets}, alone, attributes);
            EXPECT_TRUE(same_bits(alone[0], both[0]));
            // The losses of f32 arithmetic, compared as such.
            both[0] = cast(context, both[0], DType::kF32);
            return both;
          },
          "cross entropy of " + shape.text());
    }
  }
}

/// Everything that norms compute, weights in `weights`.
std::vector<Tensor> norms(Context& context, const Tensor& x, DType weights) {
  const Shape columns{x.shape().back()};
  const Tensor weight = values(weights, columns, "weight");
  const Tensor grad = values(x.dtype(), x.shape(), "grad");
  const LayerNorm layer =
      layer_norm(context, x, weight, values(weights, columns, "bias"), kEpsilon);
  const LayerNormGrad layer_grad = layer_norm_grad(context, x, weight, layer.statistics, grad);
  const LayerNormGrad past_grad = layer_norm_grad(context, x, weight, layer.statistics, grad,
                                                  values(x.dtype(), x.shape(), "past"));
  const RmsNorm rms = rms_norm(context, x, weight, kEpsilon);
  const RmsNormGrad rms_grad = rms_norm_grad(context, x, weight, rms.inverse, grad);
  return {layer.y, layer.statistics, layer_grad.x, layer_grad.weight, layer_grad.bias, past_grad.x,
          rms.y,   rms.inverse,      rms_grad.x,   rms_grad.weight};
}

TEST(RowKernels, NormsAndTheirGradientsAgree) {
  for (const DType dtype : kFloating) {
    for (const DType weights : {dtype, DType::kF32}) {
      if (dtype == DType::kF64 && weights != dtype) continue;
      for (const Shape& shape : shapes()) {
        // One column normalises to nothing: what is left is rounding.
        if (shape.back() == 1) continue;
        const Tensor x = values(dtype, shape, "x");
        expect_agreement([&](Context& context) { return norms(context, x, weights); },
                         "norms of " + shape.text());
      }
    }
  }
}

TEST(RowKernels, NormsAgreeOfRowsThatAreNotContiguous) {
  for (const DType dtype : kTrained) {
    const Tensor x = values(dtype, {9, 40}, "x");
    expect_agreement(
        [&](Context& context) { return norms(context, turned(context, x), DType::kF32); },
        "norms of turned rows");
    expect_agreement([&](Context& context) { return norms(context, x.narrow(1, 3, 17), dtype); },
                     "norms of narrow rows");
  }
}

TEST(RowKernels, ColumnsOfOneNormaliseToTheBias) {
  ThreadPool context(1);
  for (const DType dtype : kTrained) {
    const Tensor x = values(dtype, {50, 1}, "x");
    const Tensor bias = values(dtype, {1}, "bias");
    const LayerNorm layer = layer_norm(context, x, values(dtype, {1}, "weight"), bias, kEpsilon);
    EXPECT_TRUE(same_bits(layer.y, contiguous(context, bias.unsqueeze(0).expand({50, 1}))));
  }
}

TEST(RowKernels, TheNormOfASumIsThatOfTheRoundedSum) {
  Contexts contexts;
  for (const DType dtype : kTrained) {
    for (const Shape& shape : shapes()) {
      const Tensor a = values(dtype, shape, "a");
      const Tensor b = values(dtype, shape, "b");
      const Tensor weight = values(dtype, {shape.back()}, "weight");
      const Tensor bias = values(dtype, {shape.back()}, "bias");
      const Tensor sum = add(contexts.one, a, b);
      const LayerNorm apart = layer_norm(contexts.one, sum, weight, bias, kEpsilon);
      for (ThreadPool* context : {&contexts.one, &contexts.three}) {
        const AddLayerNorm fused = add_layer_norm(*context, a, b, weight, bias, kEpsilon);
        EXPECT_TRUE(same_bits(fused.sum, sum));
        EXPECT_TRUE(same_bits(fused.y, apart.y));
        EXPECT_TRUE(same_bits(fused.statistics, apart.statistics));
      }
    }
  }
}

TEST(RowKernels, RopeAgreesForwardAndBack) {
  for (const DType dtype : kFloating) {
    for (const std::int64_t width : {2, 14, 34, 64, 1030}) {
      for (const Shape& shape :
           {Shape{1, 7, 1, width}, Shape{3, 33, 5, width}, Shape{2, 0, 3, width}}) {
        const Tensor x = values(dtype, shape, "x");
        expect_agreement(
            [&](Context& context) -> std::vector<Tensor> {
              return {rope(context, x, 1e4), rope(context, x, 1e4, 100'000),
                      rope(context, x, 50, 3, true)};
            },
            "rope of " + shape.text());
      }
    }
  }
}

TEST(RowKernels, RopeAgreesInAnyLayoutAndInPlace) {
  for (const DType dtype : kTrained) {
    const Tensor packed = values(dtype, {2, 9, 3, 3 * 34}, "packed");
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> {
          const Tensor own = contiguous(context, packed.narrow(3, 0, 34));
          std::array<Tensor, 1> out{own};
          Attributes attributes;
          attributes.scale = 1e4;
          run(context, Op::kRope, std::array{own}, out, attributes);
          return {rope(context, packed.narrow(3, 34, 34), 1e4),
                  rope(context, packed.transpose(1, 2), 1e4),
                  contiguous(
                      context,
                      rope(context, packed.transpose(2, 3).narrow(2, 0, 34).transpose(2, 3), 1e4)),
                  own};
        },
        "rope of strided heads");
  }
}

// A cluster may mix processors, which must not be told apart.
TEST(RowKernels, InstructionSetsGiveTheSameBits) {
  ThreadPool context(1);
  for (const DType dtype : kTrained) {
    for (const std::int64_t columns : {1, 7, 17, 130}) {
      const Tensor x = values(dtype, {9, columns}, "x");
      const Tensor grad = values(dtype, {9, columns}, "grad");
      const Tensor weight = values(DType::kF32, {columns}, "weight");
      const LayerNorm layer = layer_norm(context, x, weight, weight, kEpsilon);
      const LayerNormGrad slopes = layer_norm_grad(context, x, weight, layer.statistics, grad);
      const RmsNorm rms = rms_norm(context, x, weight, kEpsilon);
      const RmsNormGrad rms_slopes = rms_norm_grad(context, x, weight, rms.inverse, grad);
      for (const auto& set : instruction_sets()) {
        SCOPED_TRACE(set.name + ", " + std::to_string(columns) + " columns");
        for (const bool centred : {true, false}) {
          const Tensor y = Tensor::zeros(Pool::host(), dtype, x.shape());
          const Tensor statistics = Tensor::zeros(Pool::host(), DType::kF32, {9, centred ? 2 : 1});
          cpu::Norm norm;
          norm.kind = centred ? cpu::NormKind::kLayer : cpu::NormKind::kRootMeanSquare;
          norm.element = cpu::element_of(dtype);
          norm.columns = columns;
          norm.x = x.raw();
          norm.weight = norm.bias = weight.raw();
          norm.epsilon = kEpsilon;
          norm.y = y.raw();
          norm.statistics = statistics.data<float>();
          set.norm.norm(norm, 0, 4);
          set.norm.norm(norm, 4, 5);
          EXPECT_TRUE(same_bits(y, centred ? layer.y : rms.y));

          const Tensor x_grad = Tensor::zeros(Pool::host(), dtype, x.shape());
          const Tensor weight_grad = Tensor::zeros(Pool::host(), DType::kF32, {columns});
          const Tensor bias_grad = Tensor::zeros(Pool::host(), DType::kF32, {columns});
          cpu::NormGrad backward;
          static_cast<cpu::NormRows&>(backward) = norm;
          backward.rows = 9;
          backward.statistics = norm.statistics;
          backward.grad = grad.raw();
          backward.x_grad = x_grad.raw();
          backward.weight_grad = weight_grad.raw();
          backward.bias_grad = bias_grad.raw();
          set.norm.x_grad(backward, 0, 9);
          set.norm.weight_grad(backward, 0, columns);
          EXPECT_TRUE(same_bits(x_grad, centred ? slopes.x : rms_slopes.x));
          EXPECT_TRUE(same_bits(weight_grad, centred ? slopes.weight : rms_slopes.weight));
          EXPECT_TRUE(!centred || same_bits(bias_grad, slopes.bias));
        }
      }
    }
  }
}

TEST(RowKernels, InstructionSetsGiveTheSameBitsOfSoftmax) {
  ThreadPool context(1);
  for (const DType dtype : kTrained) {
    for (const std::int64_t columns : {1, 7, 17, 130}) {
      const Tensor x = values(dtype, {9, columns}, "x");
      const Tensor grad = values(dtype, {9, columns}, "grad");
      Attributes attributes;
      std::vector<Tensor> losses(2);
      run(context, Op::kCrossEntropyGrad,
          std::array{x, Tensor::zeros(Pool::host(), DType::kI32, {9})}, losses, attributes);
      for (const auto& set : instruction_sets()) {
        SCOPED_TRACE(set.name + ", " + std::to_string(columns) + " columns");
        const Tensor out = Tensor::zeros(Pool::host(), dtype, x.shape());
        std::vector<float> room(130);
        const cpu::SoftmaxRows rows{.element = cpu::element_of(dtype),
                                    .columns = columns,
                                    .x = x.raw(),
                                    .grad = grad.raw(),
                                    .out = out.raw(),
                                    .room = room.data()};
        set.softmax.softmax(rows, 0, 9);
        EXPECT_TRUE(same_bits(out, softmax(context, x)));
        set.softmax.softmax_grad(rows, 0, 9);
        EXPECT_TRUE(same_bits(out, softmax_grad(context, x, grad)));
        set.softmax.log_softmax(rows, 0, 9);
        EXPECT_TRUE(same_bits(out, log_softmax(context, x)));
        set.softmax.log_softmax_grad(rows, 0, 9);
        EXPECT_TRUE(same_bits(out, log_softmax_grad(context, x, grad)));
        const Index bytes = columns * static_cast<Index>(size_of(dtype));
        for (Index row = 0; row < 9; ++row) {
          const double loss = set.softmax.cross_entropy({.element = cpu::element_of(dtype),
                                                         .columns = columns,
                                                         .logits = x.raw() + row * bytes,
                                                         .grad = out.raw() + row * bytes,
                                                         .room = room.data()});
          EXPECT_EQ(loss, losses[0].values<double>()[static_cast<std::size_t>(row)]);
        }
        EXPECT_TRUE(same_bits(out, losses[1]));
      }
    }
  }
}

TEST(RowKernels, InstructionSetsGiveTheSameBitsOfRope) {
  ThreadPool context(1);
  const Tensor x = values(DType::kF32, {2, 9, 3, 34}, "x");
  const Tensor expected = rope(context, x, 1, 7);
  const std::vector<double> angles(17, 1.0);
  for (const auto& set : instruction_sets()) {
    const Tensor out = Tensor::zeros(Pool::host(), DType::kF32, x.shape());
    cpu::Rope op;
    op.x = x.raw();
    op.out = out.raw();
    op.batch = 2;
    op.heads = 3;
    op.pairs = 17;
    for (std::size_t axis = 0; axis < 4; ++axis)
      op.x_strides[axis] = op.out_strides[axis] = x.stride(axis);
    op.angles = angles.data();
    op.first = 7;
    set.rope.run(op, 0, 5);
    set.rope.run(op, 5, 13);
    EXPECT_TRUE(same_bits(out, expected)) << set.name;
  }
}

}  // namespace
}  // namespace reef::ops
