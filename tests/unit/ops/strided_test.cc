// Views of tensors, how their layout is told, and the catalog's ways around a kernel that is not
// there.

#include <gtest/gtest.h>

#include "ops/cpu/thread_pool.h"
#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using testing::counting;
using testing::expect_values;
using testing::of;
using testing::uneven;
using testing::values_of;

TEST(DType, HasSizeAndName) {
  const struct {
    DType dtype;
    std::size_t size;
    std::string_view name;
    bool floating, index;
  } rows[] = {
      {DType::kF32, 4, "f32", true, false}, {DType::kBF16, 2, "bf16", true, false},
      {DType::kI32, 4, "i32", false, true}, {DType::kU8, 1, "u8", false, false},
      {DType::kF64, 8, "f64", true, false}, {DType::kF16, 2, "f16", true, false},
      {DType::kI64, 8, "i64", false, true}, {DType::kBool, 1, "bool", false, false},
  };
  EXPECT_EQ(std::size(rows), kDTypeCount);
  for (const auto& row : rows) {
    EXPECT_EQ(size_of(row.dtype), row.size);
    EXPECT_EQ(name_of(row.dtype), row.name);
    EXPECT_EQ(is_floating(row.dtype), row.floating) << row.name;
    EXPECT_EQ(is_index(row.dtype), row.index) << row.name;
    EXPECT_EQ(Tensor::zeros(Pool::host(), row.dtype, {3}).size_bytes(), 3 * row.size);
  }
}

TEST(View, NarrowsAndSelects) {
  const Tensor x = counting({2, 3, 4});
  const Tensor middle = x.narrow(1, 1, 2);
  EXPECT_EQ(middle.shape(), (Shape{2, 2, 4}));
  EXPECT_EQ(middle.layout(), Layout::kStrided);
  EXPECT_EQ(middle.size_bytes(), 64u);
  expect_values(middle, {4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23});
  EXPECT_TRUE(x.narrow(0, 1, 1).is_contiguous());
  EXPECT_EQ(x.narrow(2, 0, 0).elements(), 0);
  const Tensor row = x.select(1, 2);
  EXPECT_EQ(row.shape(), (Shape{2, 4}));
  expect_values(row, {8, 9, 10, 11, 20, 21, 22, 23});
  expect_values(row.select(0, 1), {20, 21, 22, 23});
  EXPECT_TRUE(row.select(0, 1).is_contiguous());
  EXPECT_TRUE(x.select(0, 0).shares(x));
}

TEST(View, PermutesAndTransposes) {
  const Tensor x = counting({2, 3});
  expect_values(x.transpose(0, 1), {0, 3, 1, 4, 2, 5});
  EXPECT_EQ(x.transpose(0, 1).layout(), Layout::kStrided);
  EXPECT_TRUE(x.transpose(0, 1).transpose(1, 0).is_contiguous());
  constexpr std::size_t kOrder[] = {2, 0, 1};
  const Tensor turned = counting({2, 3, 4}).permute(kOrder);
  EXPECT_EQ(turned.shape(), (Shape{4, 2, 3}));
  expect_values(turned.select(0, 1), {1, 5, 9, 13, 17, 21});
  EXPECT_TRUE(counting({4, 1}).transpose(0, 1).is_contiguous());
}

TEST(View, ExpandsSplitsAndUnsqueezes) {
  const Tensor x = counting({2, 1});
  const Tensor wide = x.expand({2, 2, 3});
  EXPECT_EQ(wide.stride(0), 0);
  expect_values(wide, {0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1});
  EXPECT_EQ(wide.layout(), Layout::kStrided);
  EXPECT_TRUE(x.expand({2, 1}).is_contiguous());

  const Tensor rows = counting({2, 6}).narrow(1, 0, 4).split_axis(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 2, 2}));
  expect_values(rows, {0, 1, 2, 3, 6, 7, 8, 9});
  EXPECT_TRUE(counting({2, 6}).split_axis(1, 3).is_contiguous());

  for (const std::size_t axis : {0, 1, 2}) {
    const Tensor taller = counting({2, 3}).transpose(0, 1).unsqueeze(axis);
    EXPECT_EQ(taller.shape(), (Shape{3, 2}.inserted(axis, 1)));
    expect_values(taller, {0, 3, 1, 4, 2, 5});
    EXPECT_TRUE(counting({2, 3}).unsqueeze(axis).is_contiguous());
  }
}

TEST(View, TakesAnyStrides) {
  const Tensor diagonal = counting({3, 3}).as_strided({3}, {4});
  expect_values(diagonal, {0, 4, 8});
  const Tensor windows = counting({5}).as_strided({3, 3}, {1, 1});
  expect_values(windows, {0, 1, 2, 1, 2, 3, 2, 3, 4});
}

TEST(View, TellsHowItLies) {
  constexpr std::size_t kBack[] = {0, 3, 1, 2};
  const Tensor image = counting({2, 4, 5, 3}).permute(kBack);  // logical (2, 3, 4, 5)
  EXPECT_EQ(image.shape(), (Shape{2, 3, 4, 5}));
  EXPECT_EQ(image.layout(), Layout::kChannelsLast);
  EXPECT_FALSE(image.is_contiguous());
  EXPECT_EQ(image.narrow(0, 1, 1).layout(), Layout::kChannelsLast);
  EXPECT_EQ(image.narrow(1, 0, 2).layout(), Layout::kStrided);
  EXPECT_EQ(image.narrow(1, 0, 0).layout(), Layout::kRowMajor) << "nothing lies any way";
  // One channel, or one pixel, lies both ways and is called row major.
  EXPECT_EQ(counting({2, 4, 5, 1}).permute(kBack).layout(), Layout::kRowMajor);
  EXPECT_EQ(counting({2, 1, 1, 3}).permute(kBack).layout(), Layout::kRowMajor);
  EXPECT_EQ(counting({2, 3}).narrow(1, 1, 2).layout(), Layout::kStrided);
  EXPECT_EQ(counting({1, 3}).narrow(1, 1, 2).layout(), Layout::kRowMajor);
}

TEST(ViewDeathTest, RefusesWhatIsNotThere) {
  const Tensor x = counting({2, 3});
  EXPECT_DEATH(x.narrow(1, 2, 2), "axis 1");
  EXPECT_DEATH(x.select(0, 2), "axis 0");
  EXPECT_DEATH(x.expand({3, 3}), "to \\(3, 3\\)");
  EXPECT_DEATH(x.transpose(0, 1).values<float>(), "no plain bytes");
  EXPECT_DEATH(x.transpose(0, 1).reshape({6}), "reshape of a strided");
  constexpr std::size_t kTwice[] = {0, 0};
  EXPECT_DEATH(x.permute(kTwice), "not a permutation");
}

/// The CPU and the plain kernels, which both have kernels that take row major only.
class Detour : public ::testing::TestWithParam<Device> {
 protected:
  ThreadPool context_{1, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Devices, Detour, ::testing::Values(Device::kCpu, Device::kReference),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Detour, StridedInputsGiveWhatTheirCopiesGive) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kBF16, DType::kF16}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor a = uneven(dtype, {5, 4}, 1).transpose(0, 1);
    const Tensor b = uneven(dtype, {5, 9}, 2).narrow(1, 2, 6);
    const Tensor weight = uneven(dtype, {10}, 3).as_strided({5}, {2});
    const Tensor copy_a = contiguous(context_, a);
    const Tensor copy_b = contiguous(context_, b);
    const Tensor copy_weight = contiguous(context_, weight);
    ASSERT_TRUE(copy_a.is_contiguous() && !a.is_contiguous());
    expect_values(copy_a, values_of(a), 0);
    expect_values(matmul(context_, a, b, Product::kNN),
                  values_of(matmul(context_, copy_a, copy_b, Product::kNN)), 0);
    expect_values(rms_norm(context_, a, weight, 1e-5f).y,
                  values_of(rms_norm(context_, copy_a, copy_weight, 1e-5f).y), 0);
    expect_values(softmax(context_, b), values_of(softmax(context_, copy_b)), 0);
    expect_values(sum(context_, b, 0b10), values_of(sum(context_, copy_b, 0b10)), 0);
    expect_values(gelu(context_, a), values_of(gelu(context_, copy_a)), 0);
  }
}

TEST_P(Detour, WritesStridedOutputs) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kBF16}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor x = uneven(dtype, {3, 4}, 1);
    const Tensor whole = fill(context_, dtype, {3, 8}, 7);
    std::array<Tensor, 1> out{whole.narrow(1, 2, 4)};
    run(context_, Op::kSoftmax, std::array{x}, out, {});
    EXPECT_TRUE(out[0].shares(whole.narrow(1, 2, 4)));
    expect_values(whole.narrow(1, 2, 4), values_of(softmax(context_, x)), 0);
    expect_values(whole.narrow(1, 0, 2), {7, 7, 7, 7, 7, 7});
    expect_values(whole.narrow(1, 6, 2), {7, 7, 7, 7, 7, 7});
    copy_into(context_, x, whole.narrow(1, 4, 4));
    expect_values(whole.narrow(1, 4, 4), values_of(x), 0);
  }
}

TEST_P(Detour, HalvesGoThroughF32AndAreRoundedOnce) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor x = uneven(dtype, {3, 4}, 1);
    const Tensor wide = cast(context_, x, DType::kF32);
    const Tensor y = softmax(context_, x);
    EXPECT_EQ(y.dtype(), dtype);
    expect_values(y, values_of(cast(context_, softmax(context_, wide), dtype)), 0);
    const Tensor turned = softmax(context_, x.transpose(0, 1));
    expect_values(turned, values_of(cast(context_, softmax(context_, wide.transpose(0, 1)), dtype)),
                  0);
  }
}

TEST_P(Detour, ImagesThatCameChannelsLastLeaveSo) {
  constexpr std::size_t kBack[] = {0, 3, 1, 2};
  const Tensor x = uneven(DType::kF32, {2, 3, 4, 5}, 1).permute(kBack);
  const Tensor plain = contiguous(context_, x);
  EXPECT_TRUE(plain.is_contiguous());
  const Tensor y = unary(context_, Op::kExp, x);
  EXPECT_EQ(y.layout(), Layout::kChannelsLast);
  expect_values(y, values_of(unary(context_, Op::kExp, plain)), 0);
}

}  // namespace
}  // namespace reef::ops
