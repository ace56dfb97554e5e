#pragma once
// The cross-entropy of one row of logits, for whole tensors of them and for blocks of them.

#include <cstring>

#include "ops/cpu/isa/softmax.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {

/// The kernel's loss and gradient for any target: a negative one counts for nothing.
inline double cross_entropy_of(const CrossEntropyRow& row) {
  CHECK_LT(row.target, row.columns) << "target out of the vocabulary";
  if (row.target >= 0) return softmax_kernels().cross_entropy(row);
  const Index size = row.element == Element::kF32 ? sizeof(float) : sizeof(std::uint16_t);
  if (row.grad != nullptr) std::memset(row.grad, 0, static_cast<std::size_t>(row.columns * size));
  return 0;
}

}  // namespace reef::ops::cpu
