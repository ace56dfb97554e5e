#pragma once
// Reductions and scans.

#include <cstdint>
#include <vector>

#include "ops/tensor/context.h"

namespace reef::ops {

/// Bit i: axis i.
using Axes = std::uint8_t;
/// All axes of a tensor of this rank.
constexpr Axes all_axes(std::size_t rank) { return static_cast<Axes>((1u << rank) - 1); }

/// Sums over `axes`, which stay with extent 1.
Tensor sum(Context& context, const Tensor& x, Axes axes);
/// Adds up what broadcasting from `shape` repeated: the gradient of a broadcast.
Tensor sum_to(Context& context, const Tensor& x, const Shape& shape);
/// Greatest over `axes`, which stay with extent 1; NaN wins.
Tensor max(Context& context, const Tensor& x, Axes axes);
/// Sum of squares in double: square_sums(), added in order.
double square_sum(Context& context, const Tensor& x);
/// Of each piece of kSquareSumPiece elements: blocks of kSquareSumBlock elements, added in order.
/// Waits for the device.
std::vector<double> square_sums(Context& context, const Tensor& x);
/// Running sums along an axis, or from its end.
Tensor cum_sum(Context& context, const Tensor& x, std::size_t axis, bool reverse = false);

}  // namespace reef::ops
