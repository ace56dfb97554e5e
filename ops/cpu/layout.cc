#include "ops/cpu/layout.h"

namespace reef::ops::cpu {

namespace {

/// Whether all lie row major in the shape of the result: a walk along one axis.
bool is_plain(std::span<const Tensor> in, std::span<const Tensor> out) {
  for (const std::span<const Tensor> tensors : {in, out}) {
    for (const Tensor& tensor : tensors) {
      if (!tensor.is_contiguous() || tensor.shape() != out[0].shape()) return false;
    }
  }
  return true;
}

primitive::Strided one_axis(std::span<const Tensor> in, std::span<const Tensor> out) {
  primitive::Strided layout;
  layout.inputs = static_cast<int>(in.size());
  layout.outputs = static_cast<int>(out.size());
  layout.rank = 1;
  layout.shape[0] = out[0].elements();
  for (int k = 0; k < layout.inputs + layout.outputs; ++k) layout.strides[k][0] = 1;
  return layout;
}

primitive::Strided all_axes(std::span<const Tensor> in, std::span<const Tensor> out) {
  const Shape& shape = out[0].shape();
  primitive::Strided layout;
  layout.rank = static_cast<int>(shape.rank());
  layout.inputs = static_cast<int>(in.size());
  layout.outputs = static_cast<int>(out.size());
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) layout.shape[axis] = shape[axis];
  std::size_t operand = 0;
  for (const std::span<const Tensor> tensors : {in, out}) {
    for (const Tensor& tensor : tensors) {
      const std::size_t missing = shape.rank() - tensor.shape().rank();
      for (std::size_t axis = missing; axis < shape.rank(); ++axis) {
        const bool repeated = tensor.shape()[axis - missing] != shape[axis];
        layout.strides[operand][axis] = repeated ? 0 : tensor.stride(axis - missing);
      }
      ++operand;
    }
  }
  return layout;
}

}  // namespace

primitive::Strided layout_of(std::span<const Tensor> in, std::span<const Tensor> out) {
  if (is_plain(in, out)) return one_axis(in, out);
  return primitive::coalesced(all_axes(in, out));
}

AxisView around_axis(const Shape& shape, std::size_t axis) {
  AxisView view;
  for (std::size_t i = 0; i < axis; ++i) view.outer *= shape[i];
  view.n = shape[axis];
  for (std::size_t i = axis + 1; i < shape.rank(); ++i) view.inner *= shape[i];
  return view;
}

}  // namespace reef::ops::cpu
