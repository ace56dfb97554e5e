#include "ops/functional/vision.h"

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

Attributes over(const Window& window, const Shape& shape = {}) {
  Attributes attributes;
  attributes.window = window;
  attributes.shape = shape;
  return attributes;
}

}  // namespace

Tensor conv2d(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Window& window) {
  if (!bias.defined()) return call_one(context, Op::kConv2d, std::array{x, weight}, over(window));
  return call_one(context, Op::kConv2d, std::array{x, weight, bias}, over(window));
}

Tensor conv2d_input_grad(Context& context, const Tensor& weight, const Tensor& grad, const Shape& x,
                         const Window& window) {
  return call_one(context, Op::kConv2dInputGrad, std::array{weight, grad}, over(window, x));
}

Tensor conv2d_weight_grad(Context& context, const Tensor& x, const Tensor& grad,
                          const Shape& weight, const Window& window) {
  return call_one(context, Op::kConv2dWeightGrad, std::array{x, grad}, over(window, weight));
}

MaxPool2d max_pool2d(Context& context, const Tensor& x, const Window& window) {
  auto out = call<2>(context, Op::kMaxPool2d, std::array{x}, over(window));
  return {std::move(out[0]), std::move(out[1])};
}

Tensor max_pool2d_grad(Context& context, const Tensor& places, const Tensor& grad, const Shape& x,
                       const Window& window) {
  return call_one(context, Op::kMaxPool2dGrad, std::array{places, grad}, over(window, x));
}

Tensor avg_pool2d(Context& context, const Tensor& x, const Window& window) {
  return call_one(context, Op::kAvgPool2d, std::array{x}, over(window));
}

Tensor avg_pool2d_grad(Context& context, const Tensor& grad, const Shape& x, const Window& window) {
  return call_one(context, Op::kAvgPool2dGrad, std::array{grad}, over(window, x));
}

}  // namespace reef::ops
