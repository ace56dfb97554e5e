#pragma once
// Reductions over one axis, on raw pointers, compiled once per instruction set (see kernels.h).
//
// Order: with one element after another along the axis (inner = 1) element i is added to lane i
// modulo 16 and the lanes are folded by halves; otherwise each column is added from top to bottom.
// It does not depend on the range asked for, so any tiling gives the same bits.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

enum class Fold : std::uint8_t {
  kSum,        ///< in double or 64-bit integers
  kSquareSum,  ///< likewise
  kMaximum,
  kMinimum,
  kArgMaximum,  ///< the index along the axis of the first of the largest, or of the first NaN
};

/// x (outer, n, inner) to out (outer, inner). Maxima and minima need n > 0.
struct Reduction {
  Element element = Element::kF32;
  Element out_element = Element::kF32;
  const void* x = nullptr;
  void* out = nullptr;
  Index outer = 1, n = 1, inner = 1;
};

struct ReductionKernels {
  /// Elements [first, first + count) of the output.
  void (*run)(Fold fold, const Reduction& op, Index first, Index count);
  /// The first of elements [from, n) of x, floating, that is greater than `bar`, or n. NaN is
  /// greater than every number.
  Index (*first_above)(Element element, const void* x, Index from, Index n, double bar);
};

/// The table of the best instruction set that this processor has.
const ReductionKernels& reduction_kernels();

namespace v2 {
extern const ReductionKernels kReductionKernels;
}
namespace v3 {
extern const ReductionKernels kReductionKernels;
}
namespace v4 {
extern const ReductionKernels kReductionKernels;
}

}  // namespace reef::ops::cpu
