#pragma once
// From tensors to the walk that elementwise kernels take.

#include <span>

#include "ops/primitive/strided.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::cuda {

/// The walk over the first output's shape, in as few axes as possible. Inputs broadcast to it (axes
/// aligned at the end, extents equal or 1); outputs are all of that shape.
primitive::Strided layout_of(std::span<const Tensor> in, std::span<const Tensor> out);

}  // namespace reef::ops::cuda
