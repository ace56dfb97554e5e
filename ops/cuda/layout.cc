#include "ops/cuda/layout.h"

#include "runtime/base/check.h"

namespace reef::ops::cuda {

namespace {

/// Strides of `tensor` along the axes of `shape`, 0 where it is repeated.
void add_operand(const Tensor& tensor, const Shape& shape, primitive::Index* strides) {
  CHECK_LE(tensor.shape().rank(), shape.rank());
  const std::size_t missing = shape.rank() - tensor.shape().rank();
  for (std::size_t axis = missing; axis < shape.rank(); ++axis) {
    const bool repeated = tensor.shape()[axis - missing] == 1 && shape[axis] != 1;
    CHECK(repeated || tensor.shape()[axis - missing] == shape[axis]);
    strides[axis] = repeated ? 0 : tensor.stride(axis - missing);
  }
}

}  // namespace

primitive::Strided layout_of(std::span<const Tensor> in, std::span<const Tensor> out) {
  const Shape& shape = out[0].shape();
  CHECK(in.size() <= primitive::kMaxInputs && out.size() <= primitive::kMaxOutputs);
  primitive::Strided layout;
  layout.rank = static_cast<int>(shape.rank());
  layout.inputs = static_cast<int>(in.size());
  layout.outputs = static_cast<int>(out.size());
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) layout.shape[axis] = shape[axis];
  std::size_t operand = 0;
  for (const Tensor& tensor : in) add_operand(tensor, shape, layout.strides[operand++]);
  for (const Tensor& tensor : out) add_operand(tensor, shape, layout.strides[operand++]);
  return primitive::coalesced(layout);
}

}  // namespace reef::ops::cuda
