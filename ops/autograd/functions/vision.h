#pragma once
// Images on variables: logical (N, C, H, W). Primitives: the gradients of a convolution are
// functions whose gradients are convolutions again.

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"

namespace reef::ops {

/// weight (O, C / groups, kh, kw); bias (O) or Variable{}. Keeps x.
Variable conv2d(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias, const Window& window);
/// The gradient of a convolution's input, of shape `x`; linear in both operands.
Variable conv2d_input_grad(Context& context, Tape& tape, const Variable& weight,
                           const Variable& grad, const Shape& x, const Window& window);
Variable conv2d_weight_grad(Context& context, Tape& tape, const Variable& x, const Variable& grad,
                            const Shape& weight, const Window& window);

/// Of equals the first gets the gradient. Keeps the places.
Variable max_pool2d(Context& context, Tape& tape, const Variable& x, const Window& window);
/// The mean of what is there: padding does not count. Keeps nothing.
Variable avg_pool2d(Context& context, Tape& tape, const Variable& x, const Window& window);
/// The gradients of pooling; each is linear, and picking or pooling is its own gradient.
Variable max_pool2d_grad(Context& context, Tape& tape, const Tensor& places, const Variable& grad,
                         const Shape& x, const Window& window);
Variable avg_pool2d_grad(Context& context, Tape& tape, const Variable& grad, const Shape& x,
                         const Window& window);

}  // namespace reef::ops
