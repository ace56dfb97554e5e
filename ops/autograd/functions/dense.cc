#include "ops/autograd/functions/dense.h"

#include "ops/autograd/decomposed/dense.h"
#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// The gradients of c = a b, a b^T or a^T b are products of the same three kinds.
template <typename Multiply>
Variable left_grad(Product product, const Variable& b, const Variable& grad,
                   const Multiply& multiply) {
  switch (product) {
    case Product::kNN:
      return multiply(grad, b, Product::kNT);
    case Product::kNT:
      return multiply(grad, b, Product::kNN);
    case Product::kTN:
      break;
  }
  return multiply(b, grad, Product::kNT);
}

template <typename Multiply>
Variable right_grad(Product product, const Variable& a, const Variable& grad,
                    const Multiply& multiply) {
  switch (product) {
    case Product::kNN:
      return multiply(a, grad, Product::kTN);
    case Product::kNT:
      return multiply(grad, a, Product::kTN);
    case Product::kTN:
      break;
  }
  return multiply(a, grad, Product::kNN);
}

/// Of a weight, (K, N) or (N, K), in f32 at least.
LaterGradients::Work weight_grad(Product product, const Tensor& x, const Tensor& grad) {
  return [=](Context& context) {
    const auto multiply = [&context](const Variable& a, const Variable& b, Product kind) {
      return constant(matmul_to(context, a.value, b.value, kind, sums_of(a.value.dtype())));
    };
    return right_grad(product, {x}, {grad}, multiply).value;
  };
}

/// Inputs 0, 1, 2 are x, weight, bias; x and weight are saved as 0 and 1.
void add_linear_grads(Context& context, const Tensor& grad, Tape::Gradients& gradients) {
  gradients.add_later(2, [grad](Context& context) { return column_sum(context, grad); });
  gradients.add_later(1, weight_grad(Product::kNN, gradients.saved(0).value, grad));
  if (!gradients.wanted(0)) return;
  gradients.add(0, constant(matmul(context, grad, gradients.saved(1).value, Product::kNT)));
}

Tensor activation_grad(Context& context, Activation activation, const Tensor& before,
                       const Tensor& grad) {
  switch (activation) {
    case Activation::kGelu:
      return gelu_grad(context, before, grad);
    case Activation::kSilu:
      return silu_grad(context, before, grad);
    case Activation::kRelu: {
      const Tensor zero = zeros(context, before.dtype(), {});
      return where(context, binary(context, Op::kLess, zero, before), grad, zero);
    }
    case Activation::kNone:
      break;
  }
  return grad;
}

}  // namespace

Variable matmul(Context& context, Tape& tape, const Variable& a, const Variable& b,
                Product product) {
  return tape.record(
      matmul(context, a.value, b.value, product), {a, b}, {kept_for(b, a), kept_for(a, b)},
      [product, left = a.value.shape(), right = b.value.shape()](
          Context& context, const Variable& grad, Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        const auto multiply = [&](const Variable& x, const Variable& y, Product kind) {
          return matmul(context, tape, x, y, kind);
        };
        if (gradients.wanted(1)) {
          const Variable sum = right_grad(product, gradients.saved(0), grad, multiply);
          gradients.add(1, reshape(context, tape, sum, right));
        }
        if (gradients.wanted(0)) {
          const Variable sum = left_grad(product, gradients.saved(1), grad, multiply);
          gradients.add(0, reshape(context, tape, sum, left));
        }
      });
}

Variable batch_matmul(Context& context, Tape& tape, const Variable& a, const Variable& b,
                      Product product) {
  return tape.record(
      batch_matmul(context, a.value, b.value, product), {a, b}, {kept_for(b, a), kept_for(a, b)},
      [product](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const auto multiply = [&](const Variable& x, const Variable& y, Product kind) {
          return batch_matmul(context, gradients.tape(), x, y, kind);
        };
        if (gradients.wanted(1)) {
          gradients.add(1, right_grad(product, gradients.saved(0), grad, multiply));
        }
        if (gradients.wanted(0)) {
          gradients.add(0, left_grad(product, gradients.saved(1), grad, multiply));
        }
      });
}

Variable linear(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias) {
  if (tape.decomposes()) return decomposed::linear(context, tape, x, weight, bias);
  return tape.record(matmul(context, x.value, weight.value, Product::kNN, bias.value),
                     {x, weight, bias}, {kept_for(weight, x), kept_for(x, weight)},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       add_linear_grads(context, grad.value, gradients);
                     });
}

Variable linear_activation(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                           const Variable& bias, Activation activation) {
  if (activation == Activation::kNone) return linear(context, tape, x, weight, bias);
  if (tape.decomposes()) {
    return decomposed::linear_activation(context, tape, x, weight, bias, activation);
  }
  LinearActivation result =
      linear_activation(context, x.value, weight.value, bias.value, activation, tape.recording());
  return tape.record(
      result.y, {x, weight, bias},
      {kept_for(weight, x), kept_for(x, weight), constant(std::move(result.before))},
      [activation](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        add_linear_grads(context,
                         activation_grad(context, activation, gradients.saved(2).value, grad.value),
                         gradients);
      });
}

Variable linear_residual(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                         const Variable& bias, const Variable& residual) {
  if (tape.decomposes()) {
    return decomposed::linear_residual(context, tape, x, weight, bias, residual);
  }
  return tape.record(linear_residual(context, x.value, weight.value, bias.value, residual.value),
                     {x, weight, bias, residual}, {kept_for(weight, x), kept_for(x, weight)},
                     [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       add_linear_grads(context, grad.value, gradients);
                       gradients.add(3, grad);
                     });
}

Variable project(Context& context, Tape& tape, const Variable& x, const Variable& weight) {
  if (tape.decomposes()) return matmul(context, tape, x, weight, Product::kNT);
  return tape.record(
      matmul(context, x.value, weight.value, Product::kNT), {x, weight},
      {kept_for(weight, x), kept_for(x, weight)},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add_later(1, weight_grad(Product::kNT, gradients.saved(0).value, grad.value));
        if (!gradients.wanted(0)) return;
        gradients.add(
            0, constant(matmul(context, grad.value, gradients.saved(1).value, Product::kNN)));
      });
}

}  // namespace reef::ops
