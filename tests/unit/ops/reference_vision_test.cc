// The plain kernels of images: convolution against a sum over a padded copy, gradients against
// differences, pooling against numbers worked out by hand.

#include <gtest/gtest.h>

#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using namespace testing;

/// As conv2d, from its definition: pad, then one number at a time from flat vectors.
std::vector<double> convolved(const Tensor& x, const Tensor& weight, const Tensor& y,
                              const Window& w) {
  const std::int64_t rows = x.shape()[2] + 2 * w.padding[0];
  const std::int64_t columns = x.shape()[3] + 2 * w.padding[1];
  const std::int64_t channels = x.shape()[1];
  const std::vector<double> from = values_of(x);
  std::vector<double> padded(static_cast<std::size_t>(x.shape()[0] * channels * rows * columns));
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t column = at % x.shape()[3] + w.padding[1];
    const std::int64_t row = at / x.shape()[3] % x.shape()[2] + w.padding[0];
    const std::int64_t plane = at / (x.shape()[2] * x.shape()[3]);
    padded[static_cast<std::size_t>((plane * rows + row) * columns + column)] = from[i];
  }
  const std::vector<double> by = values_of(weight);
  const Shape& k = weight.shape();
  std::vector<double> result;
  for (std::int64_t i = 0; i < y.elements(); ++i) {
    const std::int64_t left = i % y.shape()[3] * w.stride[1];
    const std::int64_t top = i / y.shape()[3] % y.shape()[2] * w.stride[0];
    const std::int64_t output = i / (y.shape()[2] * y.shape()[3]) % k[0];
    const std::int64_t sample = i / (k[0] * y.shape()[2] * y.shape()[3]);
    double sum = 0;
    for (std::int64_t tap = 0; tap < k[1] * k[2] * k[3]; ++tap) {
      const std::int64_t channel = output / (k[0] / w.groups) * k[1] + tap / (k[2] * k[3]);
      const std::int64_t row = top + tap / k[3] % k[2] * w.dilation[0];
      const std::int64_t column = left + tap % k[3] * w.dilation[1];
      const std::int64_t plane = sample * channels + channel;
      sum += padded[static_cast<std::size_t>((plane * rows + row) * columns + column)] *
             by[static_cast<std::size_t>(output * k[1] * k[2] * k[3] + tap)];
    }
    result.push_back(sum);
  }
  return result;
}

const Window kWindows[] = {
    {},
    {.padding = {1, 2}},
    {.stride = {2, 1}, .padding = {0, 1}},
    {.stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 1}, .groups = 2},
    {.dilation = {1, 2}, .groups = 4},
};

TEST(ReferenceConvolution, SumsOverItsWindow) {
  Reference context;
  for (const Window& window : kWindows) {
    for (const DType dtype : {DType::kF32, kF64}) {
      const Tensor x = uneven(dtype, {2, 4, 7, 6}, 1);
      const Tensor weight = uneven(dtype, {8, 4 / window.groups, 3, 2}, 2);
      const Tensor y = conv2d(context, x, weight, {}, window);
      expect_values(y, convolved(x, weight, y, window), dtype == kF64 ? 1e-12 : 1e-6);
    }
  }
  // By hand: a bias of each output, an edge filter over a row.
  const Tensor x = of(kF64, {1, 1, 1, 4}, {1, 4, 9, 16});
  const Tensor weight = of(kF64, {2, 1, 1, 2}, {-1, 1, 1, 1});
  expect_values(conv2d(context, x, weight, of(kF64, {2}, {10, 100}), {}),
                {13, 15, 17, 105, 113, 125});
}

TEST(ReferenceConvolution, GradientsAreSlopes) {
  Reference context;
  for (const Window& window : kWindows) {
    const Tensor x = uneven(kF64, {2, 4, 6, 5}, 1);
    const Tensor weight = uneven(kF64, {4, 4 / window.groups, 3, 2}, 2);
    const Tensor grad = uneven(kF64, conv2d(context, x, weight, {}, window).shape(), 3);
    const auto f = [&] { return inner(conv2d(context, x, weight, {}, window), grad); };
    expect_values(conv2d_input_grad(context, weight, grad, x.shape(), window), slopes(x, f), 1e-7);
    expect_values(conv2d_weight_grad(context, x, grad, weight.shape(), window), slopes(weight, f),
                  1e-7);
  }
}

TEST(ReferenceConvolution, TakesChannelsLast) {
  Reference context;
  const Tensor x = uneven(DType::kF32, {2, 4, 5, 3}, 1);
  const Tensor weight = uneven(DType::kF32, {6, 4, 3, 3}, 2);
  const Window window{.padding = {1, 1}};
  const Tensor plain = conv2d(context, x, weight, {}, window);
  constexpr std::size_t kLast[] = {0, 2, 3, 1};
  constexpr std::size_t kBack[] = {0, 3, 1, 2};
  const Tensor last = contiguous(context, x.permute(kLast)).permute(kBack);
  ASSERT_EQ(last.layout(), Layout::kChannelsLast);
  const Tensor y = conv2d(context, last, weight, {}, window);
  EXPECT_EQ(y.layout(), Layout::kChannelsLast);
  expect_values(y, values_of(plain), 0);
  const Tensor grad = conv2d_weight_grad(context, last, y, weight.shape(), window);
  expect_values(grad, values_of(conv2d_weight_grad(context, x, plain, weight.shape(), window)), 0);
  const Window pool{.size = {2, 2}};
  expect_values(max_pool2d(context, last, pool).places,
                values_of(max_pool2d(context, x, pool).places), 0);
}

TEST(ReferencePooling, TakesTheFirstGreatest) {
  Reference context;
  const Window window{.size = {2, 2}, .stride = {1, 2}, .padding = {0, 1}};
  for (const DType dtype : {DType::kF32, kF64, DType::kBF16}) {
    const Tensor x = of(dtype, {1, 1, 3, 3}, {1, 5, 5, -1, 2, 3, -4, 2, kNan});
    const MaxPool2d pool = max_pool2d(context, x, window);
    expect_values(pool.y, {1, 5, -1, kNan});
    expect_values(pool.places, {0, 1, 3, 8});
    const Tensor overlapping = of(DType::kI32, {1, 1, 2, 2}, {0, 1, 3, 1});
    const Tensor grad = of(dtype, {1, 1, 2, 2}, {1, 2, 3, 4});
    expect_values(max_pool2d_grad(context, overlapping, grad, x.shape(), window),
                  {1, 6, 0, 3, 0, 0, 0, 0, 0});
  }
  const Tensor deep = counting({2, 3, 4, 4}, kF64);
  const Window halves{.size = {2, 2}, .stride = {2, 2}};
  const std::vector<double> places = values_of(max_pool2d(context, deep, halves).places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i], (std::array<double, 4>{5, 7, 13, 15})[i % 4]);
  }
}

TEST(ReferencePooling, DilatedWindowsSkip) {
  Reference context;
  const Window window{.size = {1, 2}, .dilation = {1, 3}};
  const Tensor x = of(kF64, {1, 1, 1, 5}, {1, 2, 3, 0, 9});
  expect_values(max_pool2d(context, x, window).y, {1, 9});
  expect_values(avg_pool2d(context, x, window), {0.5, 5.5});
  const Window far{.size = {1, 2}, .padding = {0, 1}, .dilation = {1, 3}};
  Attributes attributes;
  attributes.window = far;
  const TensorSpec narrow{Shape{1, 1, 1, 2}, kF64};
  EXPECT_FALSE(infer(Op::kMaxPool2d, std::span(&narrow, 1), attributes).ok());
}

TEST(ReferencePooling, MeansDoNotCountPadding) {
  Reference context;
  const Window window{.size = {2, 2}, .stride = {2, 2}, .padding = {1, 1}};
  const Tensor x = of(kF64, {1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  expect_values(avg_pool2d(context, x, window), {1, 2.5, 5.5, 7});
  const Tensor y = uneven(kF64, {2, 3, 5, 4}, 1);
  const Window overlapping{.size = {3, 2}, .stride = {1, 2}, .padding = {1, 0}};
  const Tensor grad = uneven(kF64, avg_pool2d(context, y, overlapping).shape(), 2);
  expect_values(avg_pool2d_grad(context, grad, y.shape(), overlapping),
                slopes(y, [&] { return inner(avg_pool2d(context, y, overlapping), grad); }), 1e-8);
  const MaxPool2d most = max_pool2d(context, y, overlapping);
  expect_values(max_pool2d_grad(context, most.places, grad, y.shape(), overlapping),
                slopes(y, [&] { return inner(max_pool2d(context, y, overlapping).y, grad); }),
                1e-8);
}

}  // namespace
}  // namespace reef::ops
