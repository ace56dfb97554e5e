#pragma once
// Pooling of one plane of an image on raw pointers, compiled once per instruction set (see
// kernels.h). Arithmetic is in f32, or f64 for f64; taps are taken row by row, so every result has
// one order.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// The rows and columns of one channel of one sample; steps in elements, any.
struct Plane {
  Element element = Element::kF32;
  void* data = nullptr;
  Index height = 0, width = 0;
  Index row_step = 0, column_step = 0;
};

/// Pairs are (height, width). A tap outside of the plane is padding, which is not there.
struct PoolWindow {
  Index size[2], stride[2], padding[2], dilation[2];
};

struct PoolKernels {
  /// y = the greatest under the window, the first of equals, NaN greater than all numbers; places
  /// (i32) = row * width + column of it.
  void (*maximum)(const PoolWindow&, const Plane& x, const Plane& y, const Plane& places);
  /// Adds each gradient at its place. False when a place lies outside, with x_grad unfinished.
  /// `sums` is scratch of x_grad's elements, f32 or f64 as above.
  bool (*maximum_grad)(const Plane& places, const Plane& grad, const Plane& x_grad, void* sums);
  /// y = the mean of what is there.
  void (*mean)(const PoolWindow&, const Plane& x, const Plane& y);
  void (*mean_grad)(const PoolWindow&, const Plane& grad, const Plane& x_grad, void* sums);
};

/// The table of the best instruction set that this processor has.
const PoolKernels& pool_kernels();

namespace v2 {
extern const PoolKernels kPoolKernels;
}
namespace v3 {
extern const PoolKernels kPoolKernels;
}
namespace v4 {
extern const PoolKernels kPoolKernels;
}

}  // namespace reef::ops::cpu
