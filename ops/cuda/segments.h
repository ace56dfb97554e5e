#pragma once
// Elements ordered by an index, so that what goes to one place can be added in order without
// atomics.

#include "ops/cuda/context.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::cuda {

/// An index tensor sorted; places of equal keys keep their order.
struct Sorted {
  Temporary<std::uint32_t> keys;    ///< (count), ascending
  Temporary<std::uint32_t> places;  ///< (count), where each key stood
  std::int64_t count;
};

/// Of an i32 or i64 tensor, row major, with elements in [0, extent); others end the process.
Sorted sort_index(const Call& call, const Tensor& index, std::int64_t extent);

}  // namespace reef::ops::cuda
