#pragma once
// Running sums along one axis, on raw pointers, compiled once per instruction set (see kernels.h).
// They run from one end to the other in double or 64-bit integers, so no tiling changes the bits.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// x (outer, n, inner) to out, of the same shape and element type; they may be the same memory.
struct Scan {
  Element element = Element::kF32;
  const void* x = nullptr;
  void* out = nullptr;
  Index outer = 1, n = 1, inner = 1;
  bool reverse = false;  ///< from the end to the beginning
};

struct ScanKernels {
  /// Lines [first, first + count) of outer * inner.
  void (*run)(const Scan& op, Index first, Index count);
};

/// The table of the best instruction set that this processor has.
const ScanKernels& scan_kernels();

namespace v2 {
extern const ScanKernels kScanKernels;
}
namespace v3 {
extern const ScanKernels kScanKernels;
}
namespace v4 {
extern const ScanKernels kScanKernels;
}

}  // namespace reef::ops::cpu
