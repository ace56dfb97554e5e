#include "ops/functional/dense.h"

#include "ops/functional/call.h"
#include "ops/functional/rows.h"

namespace reef::ops {

Tensor matmul(Context& context, const Tensor& a, const Tensor& b, Product product,
              const Tensor& bias) {
  Attributes attributes;
  attributes.product = product;
  attributes.to = a.dtype();
  if (!bias.defined()) return call_one(context, Op::kMatmul, std::array{a, b}, attributes);
  return call_one(context, Op::kMatmul, std::array{a, b, bias}, attributes);
}

Tensor matmul_to(Context& context, const Tensor& a, const Tensor& b, Product product, DType to) {
  Attributes attributes;
  attributes.product = product;
  attributes.to = to;
  return call_one(context, Op::kMatmul, std::array{a, b}, attributes);
}

LinearActivation linear_activation(Context& context, const Tensor& x, const Tensor& weight,
                                   const Tensor& bias, Activation activation, bool keep) {
  Attributes attributes;
  attributes.to = x.dtype();
  attributes.activation = activation;
  attributes.keep = keep && activation != Activation::kNone;
  const std::array in{x, weight, bias};
  if (!attributes.keep) return {call_one(context, Op::kMatmul, in, attributes), {}};
  auto out = call<2>(context, Op::kMatmul, in, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

Tensor linear_residual(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& residual) {
  Attributes attributes;
  attributes.to = x.dtype();
  return call_one(context, Op::kMatmul, std::array{x, weight, bias, residual}, attributes);
}

Tensor batch_matmul(Context& context, const Tensor& a, const Tensor& b, Product product) {
  Attributes attributes;
  attributes.product = product;
  return call_one(context, Op::kBatchMatmul, std::array{a, b}, attributes);
}

Tensor column_sum(Context& context, const Tensor& x) {
  return call_one(context, Op::kColumnSum, std::array{x});
}

LinearCrossEntropy linear_cross_entropy(Context& context, const Tensor& x, const Tensor& weight,
                                        const Tensor& targets, float grad_scale) {
  Attributes attributes;
  attributes.scale = grad_scale;
  auto out = call<3>(context, Op::kLinearCrossEntropy, std::array{x, weight, targets}, attributes);
  return {sum_of_losses(context, out[0]), counted_targets(context, targets), std::move(out[1]),
          std::move(out[2])};
}

}  // namespace reef::ops
