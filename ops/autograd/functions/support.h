#pragma once
// What the functions of this folder share.

#include <utility>

#include "ops/autograd/tape.h"

namespace reef::ops {

/// A tensor of which no gradient is asked.
inline Variable constant(Tensor value) { return {std::move(value)}; }

/// In what to sum over many rows: the gradients of weights.
constexpr DType sums_of(DType x) { return x == DType::kBF16 || x == DType::kF16 ? DType::kF32 : x; }

/// What to save of `kept` when only the gradient of `of` needs it.
inline Variable kept_for(const Variable& of, const Variable& kept) {
  return of.id >= 0 ? kept : Variable{};
}

}  // namespace reef::ops
