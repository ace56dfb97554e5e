// Pooling: planes, which are independent, in tiles of about as much work.

#include <algorithm>

#include "ops/cpu/isa/pool.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

PoolWindow window_of(const Call& call) {
  const Window& window = call.attributes.window;
  PoolWindow result;
  for (std::size_t side = 0; side < 2; ++side) {
    result.size[side] = window.size[side];
    result.stride[side] = window.stride[side];
    result.padding[side] = window.padding[side];
    result.dilation[side] = window.dilation[side];
  }
  return result;
}

/// Plane `index` of an image, samples before channels.
Plane plane_of(const Tensor& image, Index index) {
  const Index channels = image.shape()[1];
  const Index first = index / channels * image.stride(0) + index % channels * image.stride(1);
  return {.element = element_of(image.dtype()),
          .data = image.raw() + first * static_cast<Index>(size_of(image.dtype())),
          .height = image.shape()[2],
          .width = image.shape()[3],
          .row_step = image.stride(2),
          .column_step = image.stride(3)};
}

/// Calls body(plane) for each plane; `image` is the larger of those that are read and written.
template <typename Body>
void for_planes(Context& context, const Tensor& image, const Body& body) {
  const Shape& shape = image.shape();
  const Index tile = std::max<Index>(1, kElements / std::max<Index>(1, shape[2] * shape[3]));
  for_tiles(context, shape[0] * shape[1], tile, [&](Index first, Index count) {
    for (Index plane = first; plane < first + count; ++plane) body(plane);
  });
}

/// Scratch in which a plane of the gradient is summed.
std::shared_ptr<std::byte> sums_of(const Call& call) {
  const Shape& shape = call.out[0].shape();
  const std::size_t size = call.out[0].dtype() == DType::kF64 ? sizeof(double) : sizeof(float);
  return call.context.pool().allocate(static_cast<std::size_t>(shape[2] * shape[3]) * size);
}

void max_pool2d(const Call& call) {
  const PoolWindow window = window_of(call);
  for_planes(call.context, call.in[0], [&](Index plane) {
    pool_kernels().maximum(window, plane_of(call.in[0], plane), plane_of(call.out[0], plane),
                           plane_of(call.out[1], plane));
  });
}

void max_pool2d_grad(const Call& call) {
  for_planes(call.context, call.out[0], [&](Index plane) {
    const auto sums = sums_of(call);
    const bool inside =
        pool_kernels().maximum_grad(plane_of(call.in[0], plane), plane_of(call.in[1], plane),
                                    plane_of(call.out[0], plane), sums.get());
    CHECK(inside) << "a place of max_pool2d lies outside of the image";
  });
}

void avg_pool2d(const Call& call) {
  const PoolWindow window = window_of(call);
  for_planes(call.context, call.in[0], [&](Index plane) {
    pool_kernels().mean(window, plane_of(call.in[0], plane), plane_of(call.out[0], plane));
  });
}

void avg_pool2d_grad(const Call& call) {
  const PoolWindow window = window_of(call);
  for_planes(call.context, call.out[0], [&](Index plane) {
    const auto sums = sums_of(call);
    pool_kernels().mean_grad(window, plane_of(call.in[0], plane), plane_of(call.out[0], plane),
                             sums.get());
  });
}

constexpr std::initializer_list<DType> kPlaces = {DType::kI32};

constexpr Served kServed[] = {
    {Op::kMaxPool2d, max_pool2d, Layout::kStrided, kFloating},
    {Op::kMaxPool2dGrad, max_pool2d_grad, Layout::kStrided, kPlaces},
    {Op::kAvgPool2d, avg_pool2d, Layout::kStrided, kFloating},
    {Op::kAvgPool2dGrad, avg_pool2d_grad, Layout::kStrided, kFloating},
};

}  // namespace

std::span<const Served> pool_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
