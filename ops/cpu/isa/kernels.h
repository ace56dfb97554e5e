#pragma once
// The inner loops of the CPU backend on raw pointers, compiled once per instruction set. Plain
// types only: an inline function of the standard library compiled here for AVX-512 could be the
// copy that the linker keeps for everybody.
//
// Numbers: every sum runs over 16 fixed lanes that are folded by halves, and nothing is contracted
// to a fused multiply-add, so all instruction sets give the same bits.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

struct VectorKernels {
  const char* name;
  /// Of f32, bf16 or f16, in f32.
  void (*add)(Element element, Index n, const void* a, const void* b, void* out);
  /// sum += x, likewise.
  void (*add_to)(Element element, Index n, const void* x, float* sum);
  /// Columns [first, first + count) of the sums over all rows.
  void (*column_sum)(Index rows, Index columns, Index first, Index count, const float* x,
                     float* out);
  /// Rounds to bf16, which may begin where x does.
  void (*to_bf16)(Index n, const float* x, void* out);
};

/// The table of the best instruction set that this processor has; the same one for the whole
/// process.
const VectorKernels& vector_kernels();

namespace v2 {
extern const VectorKernels kVectorKernels;
}
namespace v3 {
extern const VectorKernels kVectorKernels;
}
namespace v4 {
extern const VectorKernels kVectorKernels;
}

}  // namespace reef::ops::cpu
