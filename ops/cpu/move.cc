// Ops that move elements unchanged, in every element type and layout. (Copies and casts share the
// elementwise driver: pointwise.cc.)

#include "ops/cpu/copy.h"
#include "ops/cpu/served.h"
#include "ops/tensor/convert.h"

namespace reef::ops::cpu {

namespace {

/// A scalar, to be broadcast.
Tensor one_of(Context& context, DType dtype, double value) {
  Tensor one = Tensor::empty(context.pool(), dtype, Shape{});
  set_element(dtype, one.raw(), 0, value);
  return one;
}

void fill(const Call& call) {
  const Tensor& out = call.out[0];
  copy_elements(call.context, one_of(call.context, out.dtype(), call.attributes.shift), out);
}

void concat(const Call& call) {
  const std::size_t axis = call.attributes.axis;
  std::int64_t first = 0;
  for (const Tensor& part : call.in) {
    const std::int64_t extent = part.shape()[axis];
    copy_elements(call.context, part, call.out[0].narrow(axis, first, extent));
    first += extent;
  }
}

/// Fills what lies before and after along one axis, then goes inside: each element is written once.
void pad(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor one = one_of(call.context, x.dtype(), call.attributes.shift);
  Tensor inside = call.out[0];
  for (std::size_t axis = 0; axis < x.shape().rank(); ++axis) {
    const std::int64_t extent = x.shape()[axis];
    const std::int64_t before = call.attributes.before[axis];
    const std::int64_t after = call.attributes.after[axis];
    copy_elements(call.context, one, inside.narrow(axis, 0, before));
    copy_elements(call.context, one, inside.narrow(axis, before + extent, after));
    inside = inside.narrow(axis, before, extent);
  }
  copy_elements(call.context, x, inside);
}

constexpr Layout kAny = Layout::kStrided;

constexpr Served kServed[] = {
    {Op::kFill, fill, kAny, kEvery},
    {Op::kConcat, concat, kAny, kEvery},
    {Op::kPad, pad, kAny, kEvery},
};

}  // namespace

std::span<const Served> move_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
