#include "ops/reference/kernels.h"
#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

void fill(const Call& call) {
  const Tensor& out = call.out[0];
  for_places(out.shape(), [&](const Place& place) {
    set(out, offset_of(out, place, out.shape().rank()), call.attributes.shift);
  });
}

// Serves kCopy and kCast: both are a conversion of each element, any strides.
void cast(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  if (x.is_contiguous() && out.is_contiguous()) {
    convert(x.dtype(), x.raw(), 1, out.dtype(), out.raw(), 1, x.elements());
    return;
  }
  const std::size_t rank = x.shape().rank();
  for_places(x.shape(), [&](const Place& place) {
    convert(x.dtype(), address(x, offset_of(x, place, rank)), 1, out.dtype(),
            address(out, offset_of(out, place, rank)), 1, 1);
  });
}

void concat(const Call& call) {
  const std::size_t axis = call.attributes.axis;
  const Tensor& out = call.out[0];
  std::int64_t first = 0;
  for (const Tensor& part : call.in) {
    const Tensor place = out.narrow(axis, first, part.shape()[axis]);
    cast({call.context, {&part, 1}, {&place, 1}, call.attributes});
    first += part.shape()[axis];
  }
}

void pad(const Call& call) {
  fill(call);
  Tensor inside = call.out[0];
  for (std::size_t axis = 0; axis < inside.shape().rank(); ++axis) {
    inside = inside.narrow(axis, call.attributes.before[axis], call.in[0].shape()[axis]);
  }
  cast({call.context, call.in.first(1), {&inside, 1}, call.attributes});
}

}  // namespace reef::ops::reference
