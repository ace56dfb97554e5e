#include "ops/functional/rows.h"

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

Attributes with_epsilon(float epsilon) {
  Attributes attributes;
  attributes.epsilon = epsilon;
  return attributes;
}

}  // namespace

LayerNorm layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                     float epsilon) {
  auto out = call<2>(context, Op::kLayerNorm, std::array{x, weight, bias}, with_epsilon(epsilon));
  return {std::move(out[0]), std::move(out[1])};
}

AddLayerNorm add_layer_norm(Context& context, const Tensor& a, const Tensor& b,
                            const Tensor& weight, const Tensor& bias, float epsilon) {
  auto out =
      call<3>(context, Op::kAddLayerNorm, std::array{a, b, weight, bias}, with_epsilon(epsilon));
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

LayerNormGrad layer_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                              const Tensor& statistics, const Tensor& grad,
                              const Tensor& sum_grad) {
  auto out =
      sum_grad.defined()
          ? call<3>(context, Op::kLayerNormGrad, std::array{x, weight, statistics, grad, sum_grad})
          : call<3>(context, Op::kLayerNormGrad, std::array{x, weight, statistics, grad});
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

RmsNorm rms_norm(Context& context, const Tensor& x, const Tensor& weight, float epsilon) {
  auto out = call<2>(context, Op::kRmsNorm, std::array{x, weight}, with_epsilon(epsilon));
  return {std::move(out[0]), std::move(out[1])};
}

RmsNormGrad rms_norm_grad(Context& context, const Tensor& x, const Tensor& weight,
                          const Tensor& inverse, const Tensor& grad) {
  auto out = call<2>(context, Op::kRmsNormGrad, std::array{x, weight, inverse, grad});
  return {std::move(out[0]), std::move(out[1])};
}

Tensor softmax(Context& context, const Tensor& x) {
  return call_one(context, Op::kSoftmax, std::array{x});
}
Tensor softmax_grad(Context& context, const Tensor& y, const Tensor& grad) {
  return call_one(context, Op::kSoftmaxGrad, std::array{y, grad});
}
Tensor log_softmax(Context& context, const Tensor& x) {
  return call_one(context, Op::kLogSoftmax, std::array{x});
}
Tensor log_softmax_grad(Context& context, const Tensor& y, const Tensor& grad) {
  return call_one(context, Op::kLogSoftmaxGrad, std::array{y, grad});
}

CrossEntropy softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                                   float grad_scale, bool want_grad) {
  Attributes attributes;
  attributes.scale = grad_scale;
  const std::array in{logits, targets};
  CrossEntropy result;
  if (want_grad) {
    auto out = call<2>(context, Op::kCrossEntropyGrad, in, attributes);
    result.loss_sum = sum_of_losses(context, out[0]);
    result.grad_logits = std::move(out[1]);
  } else {
    result.loss_sum = sum_of_losses(context, call_one(context, Op::kCrossEntropy, in, attributes));
  }
  result.tokens = counted_targets(context, targets);
  return result;
}

double sum_of_losses(Context& context, const Tensor& losses) {
  const Tensor here = on_host(context, losses);
  double sum = 0;
  for (const double loss : here.values<double>()) sum += loss;
  return sum;
}

std::int64_t counted_targets(Context& context, const Tensor& targets) {
  const Tensor here = on_host(context, targets);
  std::int64_t count = 0;
  for (const std::int32_t target : here.values<std::int32_t>()) count += target >= 0;
  return count;
}

}  // namespace reef::ops
