#include <cmath>

#include "ops/reference/kernels.h"
#include "ops/reference/sums.h"
#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

namespace {

/// Where tap `tap` of the window at `place` reads along a side (0: height, 1: width); may lie in
/// the padding, outside of [0, extent).
std::int64_t tapped(const Window& window, std::size_t side, std::int64_t place, std::int64_t tap) {
  return place * window.stride[side] - window.padding[side] + tap * window.dilation[side];
}

/// Calls body(place of y, tap row, tap column, row, column) for every tap that does not read
/// padding.
template <typename Body>
void for_taps(const Shape& y, const Shape& x, const std::array<std::int64_t, 2>& size,
              const Window& window, const Body& body) {
  for_places(y, [&](const Place& place) {
    for (std::int64_t i = 0; i < size[0]; ++i) {
      const std::int64_t row = tapped(window, 0, place[2], i);
      if (row < 0 || row >= x[2]) continue;
      for (std::int64_t j = 0; j < size[1]; ++j) {
        const std::int64_t column = tapped(window, 1, place[3], j);
        if (column < 0 || column >= x[3]) continue;
        body(place, i, j, row, column);
      }
    }
  });
}

/// Calls body(place of x, of weight, of y) for every product of which a convolution is the sum:
/// y += x weight, so x grad += weight grad and weight grad += x grad.
template <typename Body>
void for_products(const Shape& x, const Shape& weight, const Shape& y, const Window& window,
                  const Body& body) {
  const std::int64_t channels = weight[1];            // of a group of x
  const std::int64_t outputs = y[1] / window.groups;  // of a group of y
  for_taps(
      y, x, {weight[2], weight[3]}, window,
      [&](const Place& at, std::int64_t i, std::int64_t j, std::int64_t row, std::int64_t column) {
        const std::int64_t group = at[1] / outputs;
        for (std::int64_t c = 0; c < channels; ++c) {
          body(Place{at[0], group * channels + c, row, column}, Place{at[1], c, i, j}, at);
        }
      });
}

double at(const Tensor& tensor, const Place& place) {
  return get(tensor, offset_of(tensor, place, 4));
}

}  // namespace

void conv2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& weight = call.in[1];
  const Tensor& y = call.out[0];
  Sums sums(y.shape());
  for_products(x.shape(), weight.shape(), y.shape(), call.attributes.window,
               [&](const Place& from, const Place& by, const Place& to) {
                 sums.add(to, at(x, from) * at(weight, by));
               });
  if (call.in.size() > 2) {
    const Tensor& bias = call.in[2];
    for_places(y.shape(),
               [&](const Place& to) { sums.add(to, get(bias, to[1] * bias.stride(0))); });
  }
  sums.store(y);
}

void conv2d_input_grad(const Call& call) {
  const Tensor& weight = call.in[0];
  const Tensor& grad = call.in[1];
  Sums sums(call.out[0].shape());
  for_products(call.out[0].shape(), weight.shape(), grad.shape(), call.attributes.window,
               [&](const Place& from, const Place& by, const Place& to) {
                 sums.add(from, at(weight, by) * at(grad, to));
               });
  sums.store(call.out[0]);
}

void conv2d_weight_grad(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& grad = call.in[1];
  Sums sums(call.out[0].shape());
  for_products(x.shape(), call.out[0].shape(), grad.shape(), call.attributes.window,
               [&](const Place& from, const Place& by, const Place& to) {
                 sums.add(by, at(x, from) * at(grad, to));
               });
  sums.store(call.out[0]);
}

// The first of equals; NaN is greater than all numbers.
void max_pool2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& places = call.out[1];
  for_places(places.shape(),
             [&](const Place& to) { places.data<std::int32_t>()[offset_of(places, to, 4)] = -1; });
  for_taps(places.shape(), x.shape(), call.attributes.window.size, call.attributes.window,
           [&](const Place& to, std::int64_t, std::int64_t, std::int64_t row, std::int64_t column) {
             const double value = at(x, {to[0], to[1], row, column});
             const std::int64_t y = offset_of(call.out[0], to, 4);
             std::int32_t& place = places.data<std::int32_t>()[offset_of(places, to, 4)];
             const double best = get(call.out[0], y);
             const bool greater = value > best || (std::isnan(value) && !std::isnan(best));
             if (place >= 0 && !greater) return;
             place = static_cast<std::int32_t>(row * x.shape()[3] + column);
             set(call.out[0], y, value);
           });
}

void max_pool2d_grad(const Call& call) {
  const Tensor& places = call.in[0];
  const Tensor& grad = call.in[1];
  const Tensor& out = call.out[0];
  Sums sums(out.shape());
  for_places(grad.shape(), [&](const Place& to) {
    const std::int32_t place = places.data<std::int32_t>()[offset_of(places, to, 4)];
    CHECK(place >= 0 && place < out.shape()[2] * out.shape()[3]) << "place " << place;
    const std::int64_t width = out.shape()[3];
    sums.add(Place{to[0], to[1], place / width, place % width}, at(grad, to));
  });
  sums.store(out);
}

namespace {

/// Taps of each window that are not padding, by place along a side.
double taps_at(const Window& window, std::size_t side, std::int64_t place, std::int64_t extent) {
  std::int64_t count = 0;
  for (std::int64_t tap = 0; tap < window.size[side]; ++tap) {
    const std::int64_t reads = tapped(window, side, place, tap);
    count += reads >= 0 && reads < extent;
  }
  return static_cast<double>(count);
}

/// What the window at `to` divides by.
double share(const Window& window, const Place& to, const Shape& x) {
  return taps_at(window, 0, to[2], x[2]) * taps_at(window, 1, to[3], x[3]);
}

}  // namespace

void avg_pool2d(const Call& call) {
  const Tensor& x = call.in[0];
  const Window& window = call.attributes.window;
  Sums sums(call.out[0].shape());
  for_taps(call.out[0].shape(), x.shape(), window.size, window,
           [&](const Place& to, std::int64_t, std::int64_t, std::int64_t row, std::int64_t column) {
             const double value = at(x, {to[0], to[1], row, column});
             sums.add(to, value / share(window, to, x.shape()));
           });
  sums.store(call.out[0]);
}

void avg_pool2d_grad(const Call& call) {
  const Tensor& grad = call.in[0];
  const Tensor& out = call.out[0];
  const Window& window = call.attributes.window;
  Sums sums(out.shape());
  for_taps(
      grad.shape(), out.shape(), window.size, window,
      [&](const Place& to, std::int64_t, std::int64_t, std::int64_t row, std::int64_t column) {
        sums.add(Place{to[0], to[1], row, column}, at(grad, to) / share(window, to, out.shape()));
      });
  sums.store(out);
}

}  // namespace reef::ops::reference
