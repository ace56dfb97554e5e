#pragma once
// Rotary positions on raw pointers, compiled once per instruction set (see kernels.h). Angles,
// sines and cosines are made in double, since positions times f32 frequencies lose what turns the
// fast pairs; the rotation is in f32.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// x (batch, positions, heads, 2 * pairs) to out, of the same shape, any strides, of f32 or
/// bf16; they may be the same memory.
struct Rope {
  Element element = Element::kF32;
  const void* x = nullptr;
  void* out = nullptr;
  Index batch = 0, heads = 0, pairs = 0;
  Index x_strides[4] = {};
  Index out_strides[4] = {};
  /// The angle between neighbouring positions, of each pair.
  const double* angles = nullptr;
  Index first = 0;  ///< position of the first row
};

struct RopeKernels {
  /// Rows [first, first + count) of positions * batch: all rows of a position are neighbours, for
  /// which its sines are computed once.
  void (*run)(const Rope& op, Index first, Index count);
};

/// The table of the best instruction set that this processor has.
const RopeKernels& rope_kernels();

namespace v2 {
extern const RopeKernels kRopeKernels;
}
namespace v3 {
extern const RopeKernels kRopeKernels;
}
namespace v4 {
extern const RopeKernels kRopeKernels;
}

}  // namespace reef::ops::cpu
