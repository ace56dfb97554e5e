#include "ops/cpu/attention/attention.h"

#include <array>
#include <span>

#include "ops/cpu/kernels.h"

// The catalog's attention: any strides of samples, times and heads go to the engine as they are.

namespace reef::ops::cpu {

namespace {

/// The tensor itself where the engine can read it: heads by strides as long as their channels lie
/// side by side, all else row major. Otherwise a copy.
Tensor readable(Context& context, const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const bool heads = shape.rank() == 4 && (tensor.stride(3) == 1 || shape[3] == 1);
  if (heads || tensor.is_contiguous()) return tensor;
  Tensor copy;
  run(context, Op::kCopy, std::span(&tensor, 1), std::span(&copy, 1), {});
  return copy;
}

template <typename T>
Strided<T> view(const Tensor& tensor) {
  return {tensor.raw(), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}
Source source(const Tensor& tensor) { return view<const void>(tensor); }
Target target(const Tensor& tensor) {
  CHECK(tensor.stride(3) == 1 || tensor.shape()[3] == 1)
      << "attention writes channels side by side";
  return view<void>(tensor);
}

AttentionShape shape_of(const Call& call) {
  const Shape& q = call.in[0].shape();
  const Shape& k = call.in[1].shape();
  AttentionShape shape;
  shape.dtype = call.in[0].dtype();
  shape.samples = q[0];
  shape.queries = q[1];
  shape.keys = k[1];
  shape.heads = q[2];
  shape.groups = k[2];
  shape.width = q[3];
  shape.causal = call.attributes.causal;
  if (call.attributes.scale != 0) shape.scale = static_cast<float>(call.attributes.scale);
  shape.draw = call.attributes.draw;
  return shape;
}

/// `mask` is row major and outlives the shape.
void apply_mask(const Tensor& mask, AttentionShape& shape) {
  if (mask.dtype() == DType::kI32) {
    shape.key_lengths = mask.data<std::int32_t>();
  } else {
    shape.key_mask = mask.data<bool>();
  }
}

/// Inputs [0, count) as the engine takes them, and the mask after them, if any.
struct Inputs {
  std::array<Tensor, 7> tensors;
  AttentionShape shape;

  Inputs(const Call& call, std::size_t count) : shape(shape_of(call)) {
    for (std::size_t i = 0; i < call.in.size(); ++i)
      tensors[i] = readable(call.context, call.in[i]);
    if (call.in.size() > count) apply_mask(tensors[count], shape);
  }
  Source operator[](std::size_t input) const { return source(tensors[input]); }
};

}  // namespace

void attention(const Call& call) {
  const Inputs in(call, 3);
  attention_forward(call.context, in.shape, in[0], in[1], in[2], target(call.out[0]),
                    call.out[1].data<float>());
}

void attention_grad(const Call& call) {
  const Inputs in(call, 6);
  const AttentionSaved saved{in[0], in[1], in[2], in[3], in.tensors[4].data<float>()};
  attention_backward(call.context, in.shape, saved, in[5], target(call.out[0]), target(call.out[1]),
                     target(call.out[2]));
}

}  // namespace reef::ops::cpu
