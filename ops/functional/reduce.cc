#include "ops/functional/reduce.h"

#include <algorithm>

#include "ops/functional/call.h"
#include "ops/functional/rows.h"

namespace reef::ops {

Tensor sum(Context& context, const Tensor& x, Axes axes) {
  Attributes attributes;
  attributes.axes = axes;
  return call_one(context, Op::kSum, std::array{x}, attributes);
}

Tensor sum_to(Context& context, const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const std::size_t added = x.shape().rank() - shape.rank();
  Axes axes = 0;
  for (std::size_t axis = 0; axis < x.shape().rank(); ++axis) {
    const bool repeated = axis < added || (shape[axis - added] == 1 && x.shape()[axis] != 1);
    if (repeated) axes |= static_cast<Axes>(1u << axis);
  }
  return sum(context, x, axes).reshape(shape);
}

Tensor max(Context& context, const Tensor& x, Axes axes) {
  Attributes attributes;
  attributes.axes = axes;
  return call_one(context, Op::kMax, std::array{x}, attributes);
}

double square_sum(Context& context, const Tensor& x) {
  double sum = 0;
  for (const double piece : square_sums(context, x)) sum += piece;
  return sum;
}

std::vector<double> square_sums(Context& context, const Tensor& x) {
  const Tensor blocks = on_host(context, call_one(context, Op::kSquareSum, std::array{x}));
  constexpr std::int64_t kBlocks = kSquareSumPiece / kSquareSumBlock;
  std::vector<double> sums;
  for (std::int64_t first = 0; first < blocks.elements(); first += kBlocks) {
    const std::int64_t count = std::min(kBlocks, blocks.elements() - first);
    sums.push_back(sum_of_losses(context, blocks.slice(first, count)));
  }
  return sums;
}

Tensor cum_sum(Context& context, const Tensor& x, std::size_t axis, bool reverse) {
  Attributes attributes;
  attributes.axis = static_cast<std::uint8_t>(axis);
  attributes.reverse = reverse;
  return call_one(context, Op::kCumSum, std::array{x}, attributes);
}

}  // namespace reef::ops
