#include "ops/functional/move.h"

#include "ops/functional/call.h"

namespace reef::ops {

Tensor fill(Context& context, DType dtype, const Shape& shape, double value) {
  Attributes attributes;
  attributes.to = dtype;
  attributes.shape = shape;
  attributes.shift = value;
  return call_one(context, Op::kFill, std::array<Tensor, 0>{}, attributes);
}

Tensor contiguous(Context& context, const Tensor& x) {
  if (x.is_contiguous()) return x;
  // An output of its own, since the catalog would keep images channels-last.
  const Tensor copy = Tensor::empty(context.pool(), x.dtype(), x.shape());
  copy_into(context, x, copy);
  return copy;
}

void copy_into(Context& context, const Tensor& from, const Tensor& to) {
  std::array<Tensor, 1> out{to};
  run(context, Op::kCopy, std::array{from}, out, {});
}

Tensor cast(Context& context, const Tensor& x, DType to) {
  if (x.dtype() == to) return x;
  Attributes attributes;
  attributes.to = to;
  return call_one(context, Op::kCast, std::array{x}, attributes);
}

Tensor concat(Context& context, std::span<const Tensor> parts, std::size_t axis) {
  Attributes attributes;
  attributes.axis = static_cast<std::uint8_t>(axis);
  std::array<Tensor, 1> out;
  run(context, Op::kConcat, parts, out, attributes);
  return out[0];
}

Tensor take_runs(Context& context, const Tensor& x, std::size_t axis, std::span<const Run> runs) {
  std::vector<Tensor> parts;
  for (const Run& run : runs) parts.push_back(x.narrow(axis, run.first, run.count));
  return parts.size() == 1 ? parts[0] : concat(context, parts, axis);
}

std::vector<Tensor> split(const Tensor& x, std::size_t axis, std::int64_t parts) {
  const std::int64_t extent = x.shape()[axis] / parts;
  CHECK_EQ(extent * parts, x.shape()[axis]);
  std::vector<Tensor> views;
  for (std::int64_t i = 0; i < parts; ++i) views.push_back(x.narrow(axis, i * extent, extent));
  return views;
}

Tensor pad(Context& context, const Tensor& x, std::size_t axis, std::int64_t before,
           std::int64_t after, double value) {
  CHECK_LT(axis, x.shape().rank());
  Attributes attributes;
  attributes.before[axis] = before;
  attributes.after[axis] = after;
  attributes.shift = value;
  return call_one(context, Op::kPad, std::array{x}, attributes);
}

}  // namespace reef::ops
