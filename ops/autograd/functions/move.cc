#include "ops/autograd/functions/move.h"

#include <numeric>

#include "ops/autograd/functions/reduce.h"
#include "ops/functional/functional.h"

namespace reef::ops {

Variable reshape(Context& context, Tape& tape, const Variable& x, const Shape& shape) {
  if (x.value.shape() == shape) return x;
  return tape.record(contiguous(context, x.value).reshape(shape), {x}, {},
                     [shape = x.value.shape()](Context& context, const Variable& grad,
                                               Tape::Gradients& gradients) {
                       gradients.add(0, reshape(context, gradients.tape(), grad, shape));
                     });
}

Variable narrow(Context&, Tape& tape, const Variable& x, std::size_t axis, std::int64_t first,
                std::int64_t count) {
  return tape.record(x.value.narrow(axis, first, count), {x}, {},
                     [axis, first, after = x.value.shape()[axis] - first - count](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, pad(context, gradients.tape(), grad, axis, first, after));
                     });
}

Variable select(Context&, Tape& tape, const Variable& x, std::size_t axis, std::int64_t index) {
  return tape.record(x.value.select(axis, index), {x}, {},
                     [axis, index, shape = x.value.shape()](Context& context, const Variable& grad,
                                                            Tape::Gradients& gradients) {
                       Tape& tape = gradients.tape();
                       const Variable one = reshape(context, tape, grad, shape.with(axis, 1));
                       const std::int64_t after = shape[axis] - index - 1;
                       gradients.add(0, pad(context, tape, one, axis, index, after));
                     });
}

Variable permute(Context&, Tape& tape, const Variable& x, std::span<const std::size_t> order) {
  std::vector<std::size_t> back(order.size());
  const Tensor y = x.value.permute(order);
  for (std::size_t i = 0; i < order.size(); ++i) back[order[i]] = i;
  return tape.record(y, {x}, {},
                     [back](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, permute(context, gradients.tape(), grad, back));
                     });
}

Variable transpose(Context& context, Tape& tape, const Variable& x, std::size_t a, std::size_t b) {
  CHECK(a < x.value.shape().rank() && b < x.value.shape().rank());
  std::vector<std::size_t> order(x.value.shape().rank());
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[a], order[b]);
  return permute(context, tape, x, order);
}

Variable expand(Context&, Tape& tape, const Variable& x, const Shape& shape) {
  if (x.value.shape() == shape) return x;
  return tape.record(x.value.expand(shape), {x}, {},
                     [shape = x.value.shape()](Context& context, const Variable& grad,
                                               Tape::Gradients& gradients) {
                       gradients.add(0, sum_to(context, gradients.tape(), grad, shape));
                     });
}

std::vector<Variable> split(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                            std::int64_t parts) {
  const std::int64_t extent = x.value.shape()[axis] / parts;
  CHECK_EQ(extent * parts, x.value.shape()[axis]);
  std::vector<Variable> views;
  for (std::int64_t i = 0; i < parts; ++i) {
    views.push_back(narrow(context, tape, x, axis, i * extent, extent));
  }
  return views;
}

Variable contiguous(Context& context, Tape& tape, const Variable& x) {
  if (x.value.is_contiguous()) return x;
  return tape.record(
      contiguous(context, x.value), {x}, {},
      [](Context&, const Variable& grad, Tape::Gradients& gradients) { gradients.add(0, grad); });
}

Variable concat(Context& context, Tape& tape, std::span<const Variable> parts, std::size_t axis) {
  std::vector<Tensor> values;
  std::vector<std::int64_t> extents;
  for (const Variable& part : parts) {
    values.push_back(part.value);
    extents.push_back(part.value.shape()[axis]);
  }
  return tape.record(
      concat(context, values, axis), {parts.begin(), parts.end()}, {},
      [axis, extents](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        std::int64_t first = 0;
        for (std::size_t i = 0; i < extents.size(); ++i) {
          gradients.add(i, narrow(context, gradients.tape(), grad, axis, first, extents[i]));
          first += extents[i];
        }
      });
}

Variable take_runs(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                   std::span<const Run> runs) {
  std::vector<Variable> parts;
  for (const Run& run : runs) {
    parts.push_back(narrow(context, tape, x, axis, run.first, run.count));
  }
  return parts.size() == 1 ? parts[0] : concat(context, tape, parts, axis);
}

Variable pad(Context& context, Tape& tape, const Variable& x, std::size_t axis, std::int64_t before,
             std::int64_t after, double value) {
  return tape.record(pad(context, x.value, axis, before, after, value), {x}, {},
                     [axis, before, count = x.value.shape()[axis]](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0,
                                     narrow(context, gradients.tape(), grad, axis, before, count));
                     });
}

Variable cast(Context& context, Tape& tape, const Variable& x, DType to) {
  if (x.value.dtype() == to) return x;
  const Tensor y = cast(context, x.value, to);
  if (!is_floating(to)) return {y};
  return tape.record(
      y, {x}, {},
      [from = x.value.dtype()](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, cast(context, gradients.tape(), grad, from));
      });
}

}  // namespace reef::ops
