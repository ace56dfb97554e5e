// Compiled once per instruction set, as cpu/isa/kernels.cc is, without contraction.

#include "ops/cpu/gemm/finish.h"

#include "ops/primitive/functors.h"
#include "ops/primitive/memory.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;
using Floats = Vec<float>;

template <typename M>
ATOLL_PRIMITIVE Floats get(const M* from, Index n) {
  return n == kLanes ? load_value(from) : load_part(from, n, M{});
}
template <typename M>
ATOLL_PRIMITIVE void put(M* to, Index n, const Floats& value) {
  n == kLanes ? store_value(to, value) : store_part(to, n, value);
}

/// The `n` elements from `at` on; n is kLanes, or less at the right edge.
ATOLL_PRIMITIVE Floats get(const ConstElements& elements, Index at, Index n) {
  return elements.is_bf16 ? get(static_cast<const primitive::BF16*>(elements.data) + at, n)
                          : get(static_cast<const float*>(elements.data) + at, n);
}
ATOLL_PRIMITIVE void put(const Elements& elements, Index at, Index n, const Floats& value) {
  elements.is_bf16 ? put(static_cast<primitive::BF16*>(elements.data) + at, n, value)
                   : put(static_cast<float*>(elements.data) + at, n, value);
}

ATOLL_PRIMITIVE Floats activate(Nonlinearity nonlinearity, const Floats& x) {
  switch (nonlinearity) {
    case Nonlinearity::kNone:
      return x;
    case Nonlinearity::kGelu:
      return Gelu{}(x);
    case Nonlinearity::kSilu:
      return Silu{}(x);
    case Nonlinearity::kRelu:
      return Relu{}(x);
  }
  __builtin_unreachable();
}

}  // namespace

void finish(const Finish& f, Index first_row, Index rows, Index first_column, Index columns) {
  for (Index row = first_row; row < first_row + rows; ++row) {
    for (Index c = first_column; c < first_column + columns; c += kLanes) {
      const Index left = first_column + columns - c;
      const Index n = left < kLanes ? left : kLanes;
      Floats x = get({f.sums, false}, row * f.sums_stride + c, n);
      if (f.bias.data != nullptr) x = x + get(f.bias, c, n);
      if (f.pre_activation.data != nullptr) {
        put(f.pre_activation, row * f.pre_activation_stride + c, n, x);
      }
      x = activate(f.nonlinearity, x);
      if (f.residual.data != nullptr) x = x + get(f.residual, row * f.residual_stride + c, n);
      put(f.out, row * f.out_stride + c, n, x);
    }
  }
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
