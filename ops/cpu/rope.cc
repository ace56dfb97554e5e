#include "ops/cpu/isa/rope.h"

#include <cmath>
#include <vector>

#include "ops/cpu/kernels.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// By which pair i turns from one position to the next: base^(-2i / D).
void set_angles(const Attributes& attributes, std::vector<double>& angles) {
  const auto pairs = static_cast<double>(angles.size());
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const double forward = 1 / std::pow(attributes.scale, static_cast<double>(i) / pairs);
    angles[i] = attributes.reverse ? -forward : forward;
  }
}

}  // namespace

void rope(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  const Shape& shape = x.shape();
  thread_local std::vector<double> angles;  // keeps its room
  angles.resize(static_cast<std::size_t>(shape[3] / 2));
  set_angles(call.attributes, angles);
  Rope op;
  op.element = element_of(x.dtype());
  op.x = x.raw();
  op.out = out.raw();
  op.batch = shape[0];
  op.heads = shape[2];
  op.pairs = shape[3] / 2;
  for (std::size_t axis = 0; axis < 4; ++axis) {
    op.x_strides[axis] = x.stride(axis);
    op.out_strides[axis] = out.stride(axis);
  }
  op.angles = angles.data();
  op.first = call.attributes.first;
  for_tiles(call.context, shape[0] * shape[1], rows_a_tile(shape[2] * shape[3]),
            [&op](Index first, Index count) { rope_kernels().run(op, first, count); });
}

}  // namespace reef::ops::cpu
