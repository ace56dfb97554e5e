// Every op, in every floating dtype, on the GPU and on the plain kernels.

#include <gtest/gtest.h>

#include "tests/gpu/compare.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {
namespace {

/// An op that rounds every element by itself is exact enough; sums of many need more room in 16
/// bits, where plain kernels round an f32 that differs in its last bits.
void run_all(const std::vector<Case>& cases, bool is_any_layout = false) {
  for (const Case& test : cases) {
    for (const DType dtype : kFloats) {
      Attributes attributes = test.attributes;
      if (test.to_is_dtype) attributes.to = dtype;
      std::vector<Tensor> in = inputs_of(test, dtype);
      expect_agreement(test.name, test.op, in, attributes, dtype);
      if (!is_any_layout) continue;
      for (Tensor& tensor : in) tensor = strided(tensor);
      expect_agreement(test.name + " of strided tensors", test.op, in, attributes, dtype);
    }
  }
}

TEST(GpuOps, DenseAgreesWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(dense_cases(), true);
}

TEST(GpuOps, IndexAgreesWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(index_cases());
}

TEST(GpuOps, ImagesAgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(vision_cases(), true);
}

TEST(GpuOps, RowsAgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(row_cases());
}

TEST(GpuOps, PointwiseAgreesWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(pointwise_cases(), true);
}

TEST(GpuOps, ReductionsAgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(reduce_cases());
}

TEST(GpuOps, MovementAgreesWithThePlainKernels) {
  ATOLL_NEED_GPU();
  run_all(move_cases(), true);
}

TEST(GpuOps, IntegersAgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  const Shape shape{6, 70, 33};
  for (const DType dtype : {DType::kI32, DType::kI64}) {
    const std::vector<Tensor> two = {normal_of(dtype, shape, "a"), normal_of(dtype, shape, "b")};
    for (const Op op : {Op::kAdd, Op::kSub, Op::kMul, Op::kMaximum, Op::kMinimum, Op::kEqual,
                        Op::kLess, Op::kLessEqual}) {
      expect_agreement(std::string(name_of(op)), op, two, {}, dtype);
    }
    Attributes attributes;
    attributes.axes = 5;
    attributes.axis = 1;
    for (const Op op : {Op::kSum, Op::kMax, Op::kCumSum}) {
      expect_agreement(std::string(name_of(op)), op, {two[0]}, attributes, dtype);
    }
  }
}

TEST(GpuOps, MoveElementsOfEveryDType) {
  ATOLL_NEED_GPU();
  Attributes attributes;
  attributes.axis = 1;
  attributes.before = {0, 2};
  Case indexed{"index", Op::kIndexSelect, {{{11}, Fill::kIndex, 5}}};
  const Tensor index = inputs_of(indexed, DType::kF32)[0];
  for (const DType dtype : {DType::kU8, DType::kBool, DType::kI32, DType::kI64, DType::kF16}) {
    const DType drawn = dtype == DType::kBool || dtype == DType::kU8 ? DType::kI32 : dtype;
    attributes.to = dtype;
    const Tensor x = run_plain(Op::kCast, {normal_of(drawn, {4, 5}, "x")}, attributes)[0];
    expect_agreement("copy", Op::kCopy, {strided(x)}, attributes, dtype);
    expect_agreement("concat", Op::kConcat, {x, strided(x)}, attributes, dtype);
    expect_agreement("pad", Op::kPad, {x}, attributes, dtype);
    expect_agreement("index_select", Op::kIndexSelect, {x, index}, attributes, dtype);
  }
}

}  // namespace
}  // namespace reef::ops::gpu
