// Ops that move elements, and those that read or write by index, against the plain kernels: the
// former give the same bits, in every element type and layout.

#include <gtest/gtest.h>

#include "ops/catalog/catalog.h"
#include "tests/unit/ops/agreement.h"

namespace reef::ops {
namespace {

using testing::Compute;
using testing::Contexts;
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
        const Shape shape{3, 40, width};
        const Tensor parts[] = {values(dtype, shape, "a"), values(dtype, shape.with(axis, 0), "b"),
                                values(dtype, shape.with(axis, 1), "c"),
                                values(dtype, shape.with(axis, 301), "d")};
        const Tensor turned[] = {
            parts[0].transpose(0, 2), parts[3].transpose(0, 2),
            values(dtype, {width, 40, 1}, "e").expand(parts[0].transpose(0, 2).shape())};
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

}  // namespace
}  // namespace reef::ops
