#include "ops/catalog/catalog.h"

#include <gtest/gtest.h>

#include <string>
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

TEST(Catalog, HasAReferenceForEveryCpuKernel) {
  for (const std::span<const Entry> table : kernel_tables()) {
    for (const Entry& entry : table) {
      if (entry.key.device != Device::kCpu) continue;
      Key plain = entry.key;
      plain.device = Device::kReference;
      EXPECT_TRUE(route(plain).ok()) << entry.key.text();
    }
  }
}

TEST(Catalog, FallsBackInTheStatedOrder) {
  const Route exact = route({Op::kAdd, Device::kCpu, DType::kF32, Layout::kRowMajor}).value();
  EXPECT_FALSE(exact.copy_inputs || exact.cast || exact.via_host);
  EXPECT_EQ(exact.candidates[0]->key.device, Device::kCpu);
  const Route any = route({Op::kAttention, Device::kCpu, DType::kF32, Layout::kRowMajor}).value();
  EXPECT_EQ(any.candidates[0]->key.layout, Layout::kStrided);
  const Route plain = route({Op::kSoftmax, Device::kCpu, DType::kF64, Layout::kStrided}).value();
  EXPECT_EQ(plain.candidates[0]->key.device, Device::kReference);
}

TEST(Catalog, MakesNoDetourOfWhatDetoursAreMadeOf) {
  for (const Device device : {Device::kCpu, Device::kReference}) {
    for (const Op op : {Op::kCast, Op::kCopy}) {
      for (std::size_t dtype = 0; dtype < kDTypeCount; ++dtype) {
        for (const Layout layout : {Layout::kRowMajor, Layout::kStrided}) {
          const Route found = route({op, device, static_cast<DType>(dtype), layout}).value();
          EXPECT_FALSE(found.cast || (op == Op::kCopy && found.copy_inputs)) << name_of(op);
        }
      }
    }
  }
}

TEST(Catalog, NamesOpKeyAndNearestKernelWhenThereIsNone) {
  const auto none = route({Op::kMatmul, Device::kCpu, DType::kU8, Layout::kRowMajor});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kTensor);
  EXPECT_NE(none.error().what.find("matmul on cpu for u8, row-major"), std::string::npos);
  EXPECT_NE(none.error().what.find("nearest is matmul on cpu for"), std::string::npos);
}

void nothing(const Call&) {}

TEST(Catalog, TakesCandidatesOfOneKeyOnlyFromOneNumericClass) {
  const Key key{Op::kErf, Device::kReference, DType::kF16, Layout::kStrided};
  const Entry tall{key, nothing, "tall", 3};
  const Entry square{key, nothing, "square", 3};
  const Entry other_order{key, nothing, "split", 4};
  const Entry unnamed{key, nothing, "", 3};
  const auto check = [](std::vector<const Entry*> candidates) {
    return check_candidates(candidates);
  };
  EXPECT_TRUE(check({&tall, &square}).ok());
  EXPECT_TRUE(check({&unnamed}).ok());
  EXPECT_NE(check({&tall, &square, &other_order}).error().what.find("different orders"),
            std::string::npos);
  EXPECT_NE(check({&tall, &tall}).error().what.find("called 'tall'"), std::string::npos);
  EXPECT_NE(check({&tall, &unnamed}).error().what.find("no name"), std::string::npos);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  static const Entry both[] = {tall, other_order};
  EXPECT_DEATH(add_kernels(both), "'tall' and 'split' add in different orders");
}

TEST(Catalog, InfersShapesOrSaysWhyNot) {
  Attributes attributes;
  const std::vector<TensorSpec> fits{{Shape{2, 5, 3}}, {Shape{3, 7}}};
  const Signature signature = infer(Op::kMatmul, fits, attributes).value();
  EXPECT_EQ(signature.count, 1u);
  EXPECT_EQ(signature.outputs[0].shape, (Shape{2, 5, 7}));
  const std::vector<TensorSpec> misfits{{Shape{2, 5, 3}}, {Shape{4, 7}}};
  const auto refused = infer(Op::kMatmul, misfits, attributes);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kTensor);
  const std::vector<TensorSpec> heads{
      {Shape{1, 4, 3, 8}}, {Shape{1, 4, 2, 8}}, {Shape{1, 4, 2, 8}}};
  EXPECT_FALSE(infer(Op::kAttention, heads, attributes).ok());
  for (std::size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const bool takes_nothing = op == Op::kFill || op == Op::kUniform || op == Op::kNormal;
    EXPECT_EQ(infer(op, Specs{}, attributes).ok(), takes_nothing) << name_of(op);
  }
}

TEST(Catalog, CountsTheFlopsOfAMatmul) {
  const std::vector<TensorSpec> in{{Shape{2, 5, 3}}, {Shape{3, 7}}};
  const Cost cost = cost_of(Op::kMatmul, in, {});
  EXPECT_EQ(cost.flops, 2.0 * 10 * 3 * 7);
  EXPECT_EQ(cost.bytes, 4.0 * (30 + 21 + 70));
}

}  // namespace
}  // namespace reef::ops
