#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

bool is_image(const TensorSpec& spec) { return spec.shape.rank() == 4; }

/// Places a window can take along one side; not positive when it does not fit.
std::int64_t places(std::int64_t extent, std::int64_t size, const Window& window,
                    std::size_t side) {
  const std::int64_t reach = window.dilation[side] * (size - 1) + 1;
  const std::int64_t room = extent + 2 * window.padding[side] - reach;
  return room < 0 ? 0 : room / window.stride[side] + 1;
}

bool is_sane(const Window& window) {
  for (std::size_t side = 0; side < 2; ++side) {
    if (window.size[side] < 1 || window.stride[side] < 1 || window.padding[side] < 0 ||
        window.dilation[side] < 1) {
      return false;
    }
  }
  return window.groups >= 1;
}

/// The output of a convolution, or an empty Shape when the arguments do not fit. There may be no
/// samples, but an image and a weight must have something to multiply.
Shape convolved(const Shape& x, const Shape& weight, const Window& window) {
  const bool fits = is_sane(window) && x[1] * x[2] * x[3] > 0 && weight.elements() > 0 &&
                    x[1] % window.groups == 0 && weight[0] % window.groups == 0 &&
                    weight[1] == x[1] / window.groups;
  if (!fits) return {};
  const std::int64_t height = places(x[2], weight[2], window, 0);
  const std::int64_t width = places(x[3], weight[3], window, 1);
  if (height < 1 || width < 1) return {};
  return Shape{x[0], weight[0], height, width};
}

Result<Signature> infer_conv2d(Op op, Specs in, const Attributes& attributes) {
  if (in.size() < 2 || in.size() > 3 || !all_floating(in) || !is_image(*in[0]) ||
      !is_image(*in[1])) {
    return misfit(op, in, "takes x (N, C, H, W), weight (O, C / groups, kh, kw), perhaps a bias");
  }
  const Shape out = convolved(in[0]->shape, in[1]->shape, attributes.window);
  if (out.rank() == 0) return misfit(op, in, "the window does not fit");
  if (in.size() == 3 && in[2]->shape != Shape{out[1]}) return misfit(op, in, "bias does not fit");
  return signature({{out, in[0]->dtype}});
}

Result<Signature> infer_conv2d_input_grad(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && all_floating(in) && is_image(*in[0]) && is_image(*in[1]) &&
                    attributes.shape.rank() == 4 &&
                    convolved(attributes.shape, in[0]->shape, attributes.window) == in[1]->shape;
  if (!fits) return misfit(op, in, "takes weight, grad, and the shape of x");
  return signature({{attributes.shape, in[1]->dtype}});
}

Result<Signature> infer_conv2d_weight_grad(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && all_floating(in) && is_image(*in[0]) && is_image(*in[1]) &&
                    attributes.shape.rank() == 4 &&
                    convolved(in[0]->shape, attributes.shape, attributes.window) == in[1]->shape;
  if (!fits) return misfit(op, in, "takes x, grad, and the shape of the weight");
  return signature({{attributes.shape, in[0]->dtype}});
}

/// Two FLOPs for each element of the convolution's output and each of the weights it meets.
double convolution_flops(const Shape& out, const Shape& weight) {
  return 2.0 * static_cast<double>(out.elements()) *
         static_cast<double>(weight.elements() / weight[0]);
}
double conv2d_flops(Op, Specs in, const Signature& out, const Attributes&) {
  return convolution_flops(out.outputs[0].shape, in[1]->shape);
}
double conv2d_input_grad_flops(Op, Specs in, const Signature&, const Attributes&) {
  return convolution_flops(in[1]->shape, in[0]->shape);
}
double conv2d_weight_grad_flops(Op, Specs in, const Signature& out, const Attributes&) {
  return convolution_flops(in[1]->shape, out.outputs[0].shape);
}

/// The output of pooling, or an empty Shape. A window that lies in the padding alone would have
/// nothing to pool, so padding is at most half of it, and no step of it jumps over the image.
Shape pooled(const Shape& x, const Window& window) {
  if (!is_sane(window) || x.rank() != 4) return {};
  Shape out = x;
  for (std::size_t side = 0; side < 2; ++side) {
    const std::int64_t count = places(x[2 + side], window.size[side], window, side);
    const bool jumps = window.padding[side] > 0 && window.dilation[side] > x[2 + side];
    if (count < 1 || jumps || 2 * window.padding[side] > window.size[side]) return {};
    out = out.with(2 + side, count);
  }
  return out;
}

Result<Signature> infer_pool(Op op, Specs in, const Attributes& attributes) {
  const Shape out =
      in.size() == 1 && all_floating(in) ? pooled(in[0]->shape, attributes.window) : Shape();
  if (out.rank() == 0) return misfit(op, in, "takes (N, C, H, W) and a window that fits");
  if (op == Op::kAvgPool2d) return signature({{out, in[0]->dtype}});
  return signature({{out, in[0]->dtype}, {out, DType::kI32}});
}

Result<Signature> infer_max_pool_grad(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && in[0]->dtype == DType::kI32 && is_floating(in[1]->dtype) &&
                    in[0]->shape == in[1]->shape && is_image(*in[1]) &&
                    pooled(attributes.shape, attributes.window) == in[1]->shape;
  if (!fits) return misfit(op, in, "takes i32 places, grad, and the shape of x");
  return signature({{attributes.shape, in[1]->dtype}});
}

Result<Signature> infer_avg_pool_grad(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 1 && all_floating(in) && is_image(*in[0]) &&
                    pooled(attributes.shape, attributes.window) == in[0]->shape;
  if (!fits) return misfit(op, in, "takes grad, and the shape of x");
  return signature({{attributes.shape, in[0]->dtype}});
}

constexpr Rule kRules[] = {
    {Op::kConv2d, "conv2d", infer_conv2d, conv2d_flops},
    {Op::kConv2dInputGrad, "conv2d_input_grad", infer_conv2d_input_grad, conv2d_input_grad_flops},
    {Op::kConv2dWeightGrad, "conv2d_weight_grad", infer_conv2d_weight_grad,
     conv2d_weight_grad_flops},
    {Op::kMaxPool2d, "max_pool2d", infer_pool, per_input<1>},
    {Op::kMaxPool2dGrad, "max_pool2d_grad", infer_max_pool_grad, per_element<1>},
    {Op::kAvgPool2d, "avg_pool2d", infer_pool, per_input<1>},
    {Op::kAvgPool2dGrad, "avg_pool2d_grad", infer_avg_pool_grad, per_element<1>},
};

}  // namespace

std::span<const Rule> vision_rules() { return kRules; }

}  // namespace reef::ops
