// Convolutions and pooling on the CPU against the plain kernels, over windows, layouts and element
// types, on one and three threads.

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "ops/catalog/catalog.h"
#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::expect_agreement;
using testing::values;

constexpr DType kTypes[] = {DType::kF32, DType::kBF16};

enum class Lying { kPlain, kChannelsLast, kStrided };

/// The same values, lying otherwise.
Tensor lying(const Tensor& x, Lying how) {
  const Shape& s = x.shape();
  const Tensor other = how == Lying::kPlain ? Tensor::empty(Pool::host(), x.dtype(), s)
                       : how == Lying::kChannelsLast
                           ? Tensor::empty(Pool::host(), x.dtype(), {s[0], s[2], s[3], s[1]})
                                 .permute(std::array<std::size_t, 4>{0, 3, 1, 2})
                           : Tensor::empty(Pool::host(), x.dtype(), {s[3], s[0], s[2], s[1]})
                                 .permute(std::array<std::size_t, 4>{1, 3, 2, 0});
  ThreadPool context(1);
  std::array<Tensor, 1> out{other};
  Attributes attributes;
  attributes.to = x.dtype();
  run(context, Op::kCopy, std::array{x}, out, attributes);
  return other;
}

struct Convolution {
  std::string name;
  Shape x, weight;
  Window window;
};

// Odd extents throughout; those of one sample are cut into parts of their channels.
const Convolution kConvolutions[] = {
    {"pointwise", {3, 5, 7, 9}, {6, 5, 1, 1}, {}},
    {"padded", {2, 3, 11, 8}, {7, 3, 3, 3}, {.padding = {1, 1}}},
    {"strided with a rest", {2, 4, 12, 9}, {5, 4, 3, 2}, {.stride = {2, 3}, .padding = {1, 0}}},
    {"dilated", {2, 4, 13, 11}, {8, 4, 3, 3}, {.padding = {2, 1}, .dilation = {2, 3}}},
    {"padded more than its window", {1, 2, 5, 5}, {3, 2, 2, 2}, {.padding = {4, 3}}},
    {"strided over its window", {2, 3, 9, 10}, {4, 3, 2, 2}, {.stride = {3, 4}}},
    {"grouped",
     {2, 6, 9, 7},
     {10, 3, 3, 3},
     {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2}},
    {"depthwise", {2, 37, 9, 9}, {37, 1, 3, 3}, {.padding = {1, 1}, .groups = 37}},
    {"depthwise, two of each", {1, 24, 8, 7}, {48, 1, 3, 2}, {.stride = {1, 2}, .groups = 24}},
    {"of many channels", {1, 70, 6, 5}, {99, 70, 3, 3}, {.padding = {1, 1}}},
    {"of a prime number of channels", {1, 4, 6, 5}, {101, 4, 3, 3}, {}},
    {"of large groups", {1, 80, 5, 6}, {120, 40, 3, 1}, {.padding = {1, 0}, .groups = 2}},
    {"of one place", {4, 16, 3, 3}, {32, 16, 3, 3}, {}},
};

void expect_convolutions(const Convolution& test, DType dtype, Lying how) {
  const Tensor x = lying(values(dtype, test.x, "x"), how);
  const Tensor weight = values(dtype, test.weight, "weight");
  const Tensor bias = values(dtype, {test.weight[0]}, "bias");
  ThreadPool one(1);
  const Shape y = conv2d(one, x, weight, {}, test.window).shape();
  const Tensor grad = lying(values(dtype, y, "grad"), how);
  expect_agreement(
      [&](Context& context) -> std::vector<Tensor> {
        const Window& window = test.window;
        return {contiguous(context, conv2d(context, x, weight, {}, window)),
                contiguous(context, conv2d(context, x, weight, bias, window)),
                contiguous(context, conv2d_input_grad(context, weight, grad, test.x, window)),
                contiguous(context, conv2d_weight_grad(context, x, grad, test.weight, window))};
      },
      test.name);
}

TEST(CpuVision, ConvolutionsAgreeInEveryLayout) {
  for (const Convolution& test : kConvolutions) {
    for (const DType dtype : kTypes) {
      for (const Lying how : {Lying::kPlain, Lying::kChannelsLast, Lying::kStrided}) {
        expect_convolutions(test, dtype, how);
      }
    }
  }
}

TEST(CpuVision, ConvolutionTakesARepeatedImage) {
  const Tensor x = values(DType::kF32, {1, 3, 6, 6}, "x").expand({4, 3, 6, 6});
  const Tensor weight = values(DType::kF32, {5, 3, 3, 3}, "weight");
  expect_agreement(
      [&](Context& context) -> std::vector<Tensor> { return {conv2d(context, x, weight, {}, {})}; },
      "repeated");
}

TEST(CpuVision, ConvolutionWritesWhereItIsTold) {
  const Tensor x = values(DType::kF32, {2, 3, 6, 6}, "x");
  const Tensor grad = values(DType::kF32, {2, 5, 4, 4}, "grad");
  const Shape weight{5, 3, 3, 3};
  expect_agreement(
      [&](Context& context) -> std::vector<Tensor> {
        Attributes attributes;
        attributes.shape = weight;
        std::array<Tensor, 1> out{lying(values(DType::kF32, weight, "before"), Lying::kStrided)};
        run(context, Op::kConv2dWeightGrad, std::array{x, grad}, out, attributes);
        return {contiguous(context, out[0])};
      },
      "into a strided tensor");
}

TEST(CpuVision, WeightGradientSumsBlocksOfSamples) {
  const Shape weight{2, 8, 1, 1};
  for (const Lying how : {Lying::kPlain, Lying::kChannelsLast}) {
    // Three samples of 1.2 MiB make a block, two are left.
    const Tensor x = lying(values(DType::kF32, {5, 8, 200, 201}, "x"), how);
    const Tensor grad = lying(values(DType::kF32, {5, 2, 200, 201}, "grad"), how);
    expect_agreement(
        [&](Context& context) -> std::vector<Tensor> {
          return {contiguous(context, conv2d_weight_grad(context, x, grad, weight, {}))};
        },
        "blocks of samples", 2e-5);  // of 200,000 terms
  }
}

TEST(CpuVision, WeightGradientPacksABlockOfSamplesAtATime) {
  ThreadPool context(2);
  const Tensor x = values(DType::kF32, {64, 64, 32, 32}, "x");
  const Tensor grad = values(DType::kF32, {64, 64, 32, 32}, "grad");
  const Tensor result = conv2d_weight_grad(context, x, grad, {64, 64, 1, 1}, {});
  const auto statistics = context.pool().statistics();
  // Each of two threads packs 4 MiB of the image and 2 MiB of the gradient; x is 16 MiB.
  EXPECT_LE(statistics.peak_bytes - statistics.bytes_in_use, 15u << 20);
}

TEST(CpuVision, ConvolutionOfNoSamplesHasAZeroGradient) {
  const Tensor x = Tensor::empty(Pool::host(), DType::kF32, {0, 3, 6, 6});
  const Tensor grad = Tensor::empty(Pool::host(), DType::kF32, {0, 5, 4, 4});
  const Tensor weight = values(DType::kF32, {5, 3, 3, 3}, "weight");
  expect_agreement(
      [&](Context& context) -> std::vector<Tensor> {
        return {conv2d(context, x, weight, {}, {}),
                conv2d_input_grad(context, weight, grad, x.shape(), {}),
                conv2d_weight_grad(context, x, grad, weight.shape(), {})};
      },
      "no samples");
}

struct Pooling {
  std::string name;
  Shape x;
  Window window;
};

const Pooling kPoolings[] = {
    {"halves", {2, 3, 12, 10}, {.size = {2, 2}, .stride = {2, 2}}},
    {"overlapping", {2, 5, 11, 9}, {.size = {3, 2}, .stride = {1, 2}, .padding = {1, 1}}},
    {"with a rest", {1, 2, 13, 12}, {.size = {3, 3}, .stride = {2, 5}, .padding = {1, 0}}},
    {"dilated",
     {2, 3, 11, 14},
     {.size = {2, 3}, .stride = {2, 1}, .padding = {1, 1}, .dilation = {2, 3}}},
    {"of one place", {3, 1, 4, 5}, {.size = {4, 5}}},
    {"of rows longer than a chunk",
     {1, 2, 3, 700},
     {.size = {3, 3}, .stride = {1, 2}, .padding = {1, 1}}},
    {"of many planes", {30, 30, 8, 8}, {.size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
};

void expect_poolings(const Pooling& test, DType dtype, Lying how) {
  const Tensor x = lying(values(dtype, test.x, "x"), how);
  ThreadPool one(1);
  const MaxPool2d pooled = max_pool2d(one, x, test.window);
  const Tensor places = lying(contiguous(one, pooled.places), how);
  const Tensor grad = lying(values(dtype, places.shape(), "grad"), how);
  expect_agreement(
      [&](Context& context) -> std::vector<Tensor> {
        const Window& window = test.window;
        const MaxPool2d greatest = max_pool2d(context, x, window);
        return {contiguous(context, greatest.y), contiguous(context, greatest.places),
                contiguous(context, avg_pool2d(context, x, window)),
                contiguous(context, max_pool2d_grad(context, places, grad, test.x, window)),
                contiguous(context, avg_pool2d_grad(context, grad, test.x, window))};
      },
      test.name);
}

TEST(CpuVision, PoolingAgreesInEveryLayout) {
  for (const Pooling& test : kPoolings) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
      for (const Lying how : {Lying::kPlain, Lying::kChannelsLast, Lying::kStrided}) {
        expect_poolings(test, dtype, how);
      }
    }
  }
}

TEST(CpuVision, MaxPoolTakesTheFirstOfEqualsAndNanBeforeAll) {
  const float infinity = INFINITY;
  const std::vector<float> numbers{1,         1,         -2,       -3,    // the first of equals
                                   NAN,       infinity,  -1,       NAN,   // the first NaN
                                   -infinity, -infinity, infinity, NAN};  // no number is less
  const Tensor x = Tensor::from<float>(Pool::host(), {3, 1, 2, 2}, numbers);
  ThreadPool context(1);
  const MaxPool2d greatest = max_pool2d(context, x, {.size = {2, 2}});
  EXPECT_EQ(greatest.y.values<float>()[0], 1);
  EXPECT_TRUE(std::isnan(greatest.y.values<float>()[1]));
  EXPECT_TRUE(std::isnan(greatest.y.values<float>()[2]));
  EXPECT_EQ(greatest.places.values<std::int32_t>()[0], 0);
  EXPECT_EQ(greatest.places.values<std::int32_t>()[1], 0);
  EXPECT_EQ(greatest.places.values<std::int32_t>()[2], 3);
  const MaxPool2d least = max_pool2d(context, x, {.size = {1, 2}});
  EXPECT_EQ(least.y.values<float>()[4], -infinity);
  EXPECT_EQ(least.places.values<std::int32_t>()[4], 0);
}

TEST(CpuVision, HasKernelsOfItsOwn) {
  for (const Op op : {Op::kConv2d, Op::kConv2dInputGrad, Op::kConv2dWeightGrad, Op::kMaxPool2d,
                      Op::kMaxPool2dGrad, Op::kAvgPool2d, Op::kAvgPool2dGrad}) {
    for (DType dtype : kTypes) {
      if (op == Op::kMaxPool2dGrad) dtype = DType::kI32;  // the places are its first input
      for (const Layout layout : {Layout::kRowMajor, Layout::kChannelsLast, Layout::kStrided}) {
        const Route found = route({op, Device::kCpu, dtype, layout}).value();
        EXPECT_EQ(found.candidates[0]->key.device, Device::kCpu) << name_of(op);
      }
    }
  }
}

}  // namespace
}  // namespace reef::ops
