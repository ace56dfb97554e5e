#pragma once
// Where the elements of an elementwise op's operands lie: one shape, and per operand a step along
// every axis, in elements; a step of 0 repeats the operand along that axis (broadcast).

#include "ops/primitive/target.h"

namespace reef::ops::primitive {

inline constexpr int kMaxRank = 8;
inline constexpr int kMaxInputs = 4;
inline constexpr int kMaxOutputs = 2;
inline constexpr int kMaxOperands = kMaxInputs + kMaxOutputs;

/// Operands are inputs [0, inputs), then outputs.
struct Strided {
  int rank = 0;
  int inputs = 0;
  int outputs = 0;
  Index shape[kMaxRank] = {};
  Index strides[kMaxOperands][kMaxRank] = {};
};

inline namespace ATOLL_ISA {

ATOLL_PRIMITIVE Index elements_of(const Strided& strided) {
  Index count = 1;
  for (int axis = 0; axis < strided.rank; ++axis) count *= strided.shape[axis];
  return count;
}

/// The same walk with as few axes as possible, at least one: axes of one element are dropped,
/// neighbours that are one run in every operand are joined.
ATOLL_PRIMITIVE Strided coalesced(const Strided& from) {
  const int operands = from.inputs + from.outputs;
  Strided to;
  to.inputs = from.inputs;
  to.outputs = from.outputs;
  for (int axis = 0; axis < from.rank; ++axis) {
    if (from.shape[axis] == 1) continue;
    bool joined = to.rank > 0;
    for (int i = 0; joined && i < operands; ++i) {
      joined = to.strides[i][to.rank - 1] == from.strides[i][axis] * from.shape[axis];
    }
    if (!joined) to.shape[to.rank++] = 1;
    to.shape[to.rank - 1] *= from.shape[axis];
    for (int i = 0; i < operands; ++i) to.strides[i][to.rank - 1] = from.strides[i][axis];
  }
  if (to.rank == 0) to.shape[to.rank++] = 1;
  return to;
}

/// Where the element of this row-major number lies in an operand.
ATOLL_PRIMITIVE Index offset_of(const Strided& strided, int operand, Index number) {
  Index offset = 0;
  for (int axis = strided.rank - 1; axis > 0; --axis) {
    offset += number % strided.shape[axis] * strided.strides[operand][axis];
    number /= strided.shape[axis];
  }
  return offset + number * strided.strides[operand][0];
}

}  // namespace ATOLL_ISA

}  // namespace reef::ops::primitive
