// Ops that move elements, and those that read or write by index, against the plain kernels: the
// former give the same bits, in every element type and layout.

#include <gtest/gtest.h>

#include "ops/catalog/catalog.h"
#include "tests/unit/ops/agreement.h"

namespace reef::ops {
namespace {

using testing::Compute;
using testing::Contexts;
using testing::expect_agreement;
using testing::integers;
using testing::same_bits;
using testing::values;

constexpr DType kEvery[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                            DType::kI32, DType::kI64,  DType::kU8,  DType::kBool};

void expect_same(const Compute& compute, const std::string& what) {
  Contexts contexts;
  const std::vector<Tensor> expected = compute(contexts.reference);
  const std::vector<Tensor> one = compute(contexts.one);
  const std::vector<Tensor> three = compute(contexts.three);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string name = what + " of " + std::string(name_of(expected[i].dtype()));
    EXPECT_TRUE(same_bits(one[i], expected[i])) << name << ", output " << i;
    EXPECT_TRUE(same_bits(three[i], expected[i])) << name << ", output " << i;
  }
}

TEST(MoveKernels, FillAgrees) {
  for (const DType dtype : kEvery) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{0, 7}, Shape{130, 17}, Shape{3, 70'001}}) {
      expect_same(
          [&](Context& context) -> std::vector<Tensor> {
            return {fill(context, dtype, shape, 0), fill(context, dtype, shape, 3.75),
                    fill(context, dtype, shape, 1)};
          },
          "fill");
    }
  }
}

/// Elements outside of a view must stay as they are.
TEST(MoveKernels, FillLeavesWhatLiesBetween) {
  for (const DType dtype : kEvery) {
    expect_same(
        [&](Context& context) -> std::vector<Tensor> {
          const Tensor all = values(dtype, {9, 11, 7}, "all").clone(context.pool());
          Attributes attributes;
          attributes.to = dtype;
          attributes.shift = 1;
          for (const Tensor& view : {all.narrow(2, 3, 1), all.narrow(1, 2, 3).transpose(0, 2)}) {
            attributes.shape = view.shape();
            std::array<Tensor, 1> out{view};
            run(context, Op::kFill, {}, out, attributes);
          }
          return {all};
        },
        "fill of a view");
  }
}

TEST(MoveKernels, ConcatAgreesAlongAnyAxis) {
  for (const DType dtype : kEvery) {
    for (const std::int64_t width : {1, 7, 17, 130}) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const Shape shape{3, 9, width};
        const Tensor parts[] = {values(dtype, shape, "a"), values(dtype, shape.with(axis, 0), "b"),
                                values(dtype, shape.with(axis, 1), "c"),
                                values(dtype, shape.with(axis, 301), "d")};
        const Tensor turned[] = {
            parts[0].transpose(0, 2), parts[3].transpose(0, 2),
            values(dtype, {width, 9, 1}, "e").expand(parts[0].transpose(0, 2).shape())};
        expect_same(
            [&](Context& context) -> std::vector<Tensor> {
              return {concat(context, parts, axis), concat(context, turned, 2 - axis)};
            },
            "concat along " + std::to_string(axis));
      }
    }
  }
}

TEST(MoveKernels, PadAgreesOnEverySide) {
  for (const DType dtype : kEvery) {
    for (const std::int64_t width : {0, 1, 7, 17, 130}) {
      const Tensor x = values(dtype, {5, 30, width}, "x");
      for (std::size_t axis = 0; axis < 3; ++axis) {
        expect_same(
            [&](Context& context) -> std::vector<Tensor> {
              return {pad(context, x, axis, 2, 3, 1), pad(context, x, axis, 0, 65, 0),
                      pad(context, x.transpose(0, 2), axis, 1, 0, 2.5)};
            },
            "pad along " + std::to_string(axis));
      }
      Attributes attributes;
      attributes.before = {1, 0, 2};
      attributes.after = {0, 3, 1};
      attributes.shift = 1;
      expect_same(
          [&](Context& context) {
            std::vector<Tensor> out(1);
            run(context, Op::kPad, std::array{x}, out, attributes);
            return out;
          },
          "pad of all axes");
    }
  }
}

// A copy through f32 would turn a signalling NaN into a quiet one.
TEST(MoveKernels, BitsAreNotLookedAt) {
  ThreadPool context(1);
  const Tensor x = Tensor::zeros(Pool::host(), DType::kBF16, {40});
  std::fill(x.bytes().begin(), x.bytes().end(), std::byte{0x81});
  x.bytes()[1] = std::byte{0x7F};  // 0x7F81
  const Tensor padded = pad(context, x, 0, 0, 1);
  EXPECT_EQ(std::memcmp(padded.raw(), x.raw(), x.size_bytes()), 0);
  EXPECT_TRUE(same_bits(concat(context, {&x, 1}, 0), x));
}

/// Numbers below `bound`, i32 or i64.
Tensor indices(DType dtype, const Shape& shape, std::int64_t bound) {
  const Tensor drawn = integers(shape, "indices", static_cast<std::uint64_t>(bound));
  Tensor index = Tensor::empty(Pool::host(), dtype, shape);
  convert(DType::kI32, drawn.raw(), 1, dtype, index.raw(), 1, drawn.elements());
  return index;
}

constexpr DType kIndex[] = {DType::kI32, DType::kI64};
constexpr DType kFloating[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64};
const Shape kShapes[] = {{7},         {1, 1},    {40, 1, 3}, {3, 5, 130},
                         {2, 70, 16}, {0, 5, 2}, {300, 7},   {2, 3000}};

TEST(IndexKernels, SelectAndGatherAgreeAlongAnyAxis) {
  for (const DType dtype : kEvery) {
    for (const DType index_dtype : kIndex) {
      for (const Shape& shape : kShapes) {
        const Tensor x = values(dtype, shape, "x");
        for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
          if (shape[axis] == 0) continue;
          for (const std::int64_t picked : {0, 1, 33}) {
            expect_same(
                [&](Context& context) -> std::vector<Tensor> {
                  return {
                      index_select(context, x, axis, indices(index_dtype, {picked}, shape[axis])),
                      gather(context, x, axis,
                             indices(index_dtype, shape.with(axis, picked), shape[axis]))};
                },
                "picked along " + std::to_string(axis) + " of " + shape.text());
          }
        }
      }
    }
  }
}

TEST(IndexKernels, SumsAtIndicesAgreeAlongAnyAxis) {
  for (const DType dtype : kFloating) {
    for (const DType index_dtype : kIndex) {
      for (const Shape& shape : kShapes) {
        const Tensor x = values(dtype, shape, "x");
        for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
          for (const std::int64_t rows : {1, 9, 200}) {
            expect_agreement(
                [&](Context& context) -> std::vector<Tensor> {
                  return {
                      index_add(context, indices(index_dtype, {shape[axis]}, rows), x, axis, rows),
                      scatter_add(context, indices(index_dtype, shape, rows), x, axis, rows)};
                },
                "sums along " + std::to_string(axis) + " of " + shape.text());
          }
        }
      }
    }
  }
}

TEST(IndexKernels, AgreeOfStridedInputs) {
  for (const DType dtype : kFloating) {
    const Tensor x = values(dtype, {9, 40}, "x").transpose(0, 1);
    const Tensor index = indices(DType::kI32, {30, 9}, 40).narrow(0, 5, 20);
    const Tensor one = indices(DType::kI32, {1, 9}, 40).expand({40, 9});
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> {
          return {gather(context, x, 0, index), index_select(context, x, 0, index.select(1, 3)),
                  scatter_add(context, one, x, 0, 40),
                  index_add(context, indices(DType::kI64, {80}, 5).split_axis(0, 2).select(0, 1), x,
                            0, 5)};
        },
        "strided");
  }
}

TEST(IndexKernels, EmbeddingsAgreeInEveryType) {
  for (const DType dtype : kFloating) {
    for (const std::int64_t width : {1, 7, 17, 130}) {
      const Tensor tokens = integers({3, 17}, "tokens", 1100);
      expect_agreement(
          [&](Context& context) -> std::vector<Tensor> {
            const Tensor y = embedding(context, tokens, values(dtype, {1100, width}, "table"),
                                       values(dtype, {19, width}, "positions"));
            const EmbeddingGrad grad = embedding_grad(context, tokens, y, 1100, 19);
            return {y, grad.table, grad.positions};
          },
          "embedding");
    }
  }
}

TEST(IndexKernels, TopKAndArgMaxAgree) {
  for (const DType dtype : kFloating) {
    for (const std::int64_t columns : {1, 7, 17, 130, 3000}) {
      for (const std::int64_t rows : {0, 1, 37}) {
        const Tensor x = values(dtype, {rows, columns}, "x");
        const Tensor turned = values(dtype, {columns, rows}, "x").transpose(0, 1);
        for (const std::int64_t k : {std::int64_t{1}, (columns + 1) / 2, columns}) {
          expect_same(
              [&](Context& context) -> std::vector<Tensor> {
                const TopK plain = top_k(context, x, k);
                const TopK strided = top_k(context, turned, k);
                return {plain.values, plain.places, strided.values, strided.places,
                        arg_max(context, x)};
              },
              "top " + std::to_string(k) + " of " + std::to_string(columns));
        }
      }
    }
  }
}

TEST(IndexKernels, TopKKeepsTheOrderOfEqualsAndPutsNanFirst) {
  for (const DType dtype : kFloating) {
    Tensor x = Tensor::zeros(Pool::host(), dtype, {4, 50});
    for (std::int64_t i = 0; i < 200; ++i) {
      // Row 0: few values, often; 1: rising; 2: falling; 3: NaN among others.
      const std::int64_t at = i % 50;
      const double rows[] = {double(at * 7 % 4), double(at), double(-at),
                             at % 9 == 5 ? NAN : double(at % 5)};
      set_element(dtype, x.raw(), i, rows[i / 50]);
    }
    set_element(dtype, x.raw(), 3, -0.0);
    set_element(dtype, x.raw(), 150, INFINITY);
    set_element(dtype, x.raw(), 151, -INFINITY);
    for (const std::int64_t k : {1, 3, 6, 20, 50}) {
      expect_same(
          [&](Context& context) -> std::vector<Tensor> {
            const TopK top = top_k(context, x, k);
            return {top.values, top.places};
          },
          "top " + std::to_string(k));
    }
  }
}

using IndexDeathTest = ::testing::Test;

TEST(IndexDeathTest, AnIndexOutOfRangeEndsTheProcess) {
  ThreadPool context(1);
  const Tensor x = values(DType::kF32, {4, 3}, "x");
  for (const std::int32_t wrong : {-1, 4}) {
    const std::vector<std::int32_t> given{0, 1, 2, wrong};
    const Tensor index = Tensor::from<std::int32_t>(Pool::host(), {4}, given);
    EXPECT_DEATH(index_select(context, x, 0, index), "of 4");
    EXPECT_DEATH(index_add(context, index, x, 0, 4), "of 4");
    const Tensor spread = contiguous(context, index.unsqueeze(1).expand({4, 3}));
    EXPECT_DEATH(gather(context, x, 0, spread), "of 4");
    EXPECT_DEATH(scatter_add(context, spread, x, 0, 4), "of 4");
  }
}

}  // namespace
}  // namespace reef::ops
