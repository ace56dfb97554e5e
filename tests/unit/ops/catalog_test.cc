#include "ops/catalog/catalog.h"

#include <gtest/gtest.h>

#include <vector>

namespace reef::ops {
namespace {

TEST(Catalog, NamesRoundTrip) {
  for (std::size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    EXPECT_EQ(op_named(name_of(op)).value(), op);
  }
  EXPECT_FALSE(op_named("no_such_op").ok());
}

TEST(Catalog, HasAReferenceForEveryCpuKernelAndNoKeyTwice) {
  for (const Entry& entry : kernel_table()) {
    EXPECT_NE(find_kernel(entry.op, Device::kReference, entry.dtype), nullptr) << name_of(entry.op);
    int same = 0;
    for (const Entry& other : kernel_table()) {
      same += other.op == entry.op && other.device == entry.device && other.dtype == entry.dtype;
    }
    EXPECT_EQ(same, 1) << name_of(entry.op);
  }
}

TEST(Catalog, NeverGivesAHostKernelToAGpu) {
  EXPECT_EQ(find_kernel(Op::kMatmul, Device::kCuda, DType::kF32), nullptr);
  EXPECT_EQ(find_kernel(Op::kMatmul, Device::kCpu, DType::kU8), nullptr);
}

TEST(Catalog, InfersShapesOrSaysWhyNot) {
  Attributes attributes;
  const std::vector<Signature::Output> fits{{Shape{2, 5, 3}}, {Shape{3, 7}}};
  const Signature signature = infer(Op::kMatmul, fits, attributes).value();
  EXPECT_EQ(signature.count, 1u);
  EXPECT_EQ(signature.outputs[0].shape, (Shape{2, 5, 7}));
  const std::vector<Signature::Output> misfits{{Shape{2, 5, 3}}, {Shape{4, 7}}};
  const auto refused = infer(Op::kMatmul, misfits, attributes);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kTensor);
  attributes.heads = 5;
  const std::vector<Signature::Output> qkv{{Shape{1, 4, 24}}};
  EXPECT_FALSE(infer(Op::kAttention, qkv, attributes).ok());
  for (std::size_t i = 0; i < kOpCount; ++i) {
    EXPECT_FALSE(infer(static_cast<Op>(i), {}, attributes).ok()) << i;
  }
}

TEST(Catalog, CountsTheFlopsOfAMatmul) {
  const std::vector<Signature::Output> in{{Shape{2, 5, 3}}, {Shape{3, 7}}};
  const Cost cost = cost_of(Op::kMatmul, in, {});
  EXPECT_EQ(cost.flops, 2.0 * 10 * 3 * 7);
  EXPECT_EQ(cost.bytes, 4.0 * (30 + 21 + 70));
}

}  // namespace
}  // namespace reef::ops
