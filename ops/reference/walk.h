#pragma once
// How the plain kernels visit the elements of strided tensors: slowly, in row-major order.

#include <array>
#include <cstdint>

#include "ops/tensor/tensor.h"

namespace reef::ops::reference {

using Place = std::array<std::int64_t, Shape::kMaxRank>;

/// Elements from the first of `tensor` to the one at `place`. Axes are aligned at the end, and an
/// extent of 1 is repeated, so that places of a broadcast result serve its inputs.
inline std::int64_t offset_of(const Tensor& tensor, const Place& place, std::size_t rank) {
  const std::size_t missing = rank - tensor.shape().rank();
  std::int64_t offset = 0;
  for (std::size_t axis = missing; axis < rank; ++axis) {
    const std::int64_t at = tensor.shape()[axis - missing] == 1 ? 0 : place[axis];
    offset += at * tensor.stride(axis - missing);
  }
  return offset;
}

/// Calls body(place) for every place of `shape`.
template <typename Body>
void for_places(const Shape& shape, const Body& body) {
  Place place{};
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    body(place);
    for (std::size_t axis = shape.rank(); axis-- > 0;) {
      if (++place[axis] < shape[axis]) break;
      place[axis] = 0;
    }
  }
}

}  // namespace reef::ops::reference
