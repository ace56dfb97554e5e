#pragma once
// Ops that move elements without changing them, or change their form. Views (Tensor::narrow,
// permute, expand, ..) move nothing and are not here.

#include <cstdint>
#include <span>
#include <vector>

#include "ops/tensor/context.h"
#include "ops/tensor/run.h"

namespace reef::ops {

Tensor fill(Context& context, DType dtype, const Shape& shape, double value);
inline Tensor zeros(Context& context, DType dtype, const Shape& shape) {
  return fill(context, dtype, shape, 0);
}
/// x itself when it is contiguous, else a row-major copy.
Tensor contiguous(Context& context, const Tensor& x);
/// Any strides to any strides, shapes alike.
void copy_into(Context& context, const Tensor& from, const Tensor& to);
/// Floating ones round to nearest even, NaN stays NaN; to an integer truncates; to bool is != 0.
Tensor cast(Context& context, const Tensor& x, DType to);
/// Joined along an axis.
Tensor concat(Context& context, std::span<const Tensor> parts, std::size_t axis);
/// The elements of `axis` in some runs, side by side. One run gives a view.
Tensor take_runs(Context& context, const Tensor& x, std::size_t axis, std::span<const Run> runs);
/// Views of `parts` equal parts of an axis.
std::vector<Tensor> split(const Tensor& x, std::size_t axis, std::int64_t parts);
/// `before` and `after` elements of `value` around an axis.
Tensor pad(Context& context, const Tensor& x, std::size_t axis, std::int64_t before,
           std::int64_t after, double value = 0);

}  // namespace reef::ops
