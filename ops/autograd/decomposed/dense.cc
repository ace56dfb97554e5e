#include "ops/autograd/decomposed/dense.h"

#include "ops/autograd/functions.h"

namespace reef::ops::decomposed {

Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias) {
  const Variable product = matmul(context, tape, x, weight, Product::kNN);
  if (!bias.value.defined()) return product;
  const DType dtype = product.value.dtype();  // a bias may be f32 beside bf16
  return add(context, tape, product, cast(context, tape, bias, dtype));
}

Variable linear_activation(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                           const Variable& bias, Activation activation) {
  const Variable before = decomposed::linear(context, tape, x, weight, bias);
  switch (activation) {
    case Activation::kGelu:
      return gelu(context, tape, before);
    case Activation::kSilu:
      return silu(context, tape, before);
    case Activation::kRelu:
      return relu(context, tape, before);
    case Activation::kNone:
      break;
  }
  return before;
}

Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual) {
  return add(context, tape, residual, decomposed::linear(context, tape, x, weight, bias));
}

}  // namespace reef::ops::decomposed
