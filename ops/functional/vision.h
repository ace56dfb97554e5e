#pragma once
// Images: logical (N, C, H, W), lying so or channels-last.

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"

namespace reef::ops {

/// weight (O, C / groups, kh, kw); `bias` (O) may be undefined.
Tensor conv2d(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Window& window);
Tensor conv2d_input_grad(Context& context, const Tensor& weight, const Tensor& grad, const Shape& x,
                         const Window& window);
Tensor conv2d_weight_grad(Context& context, const Tensor& x, const Tensor& grad,
                          const Shape& weight, const Window& window);

struct MaxPool2d {
  Tensor y;
  Tensor places;  ///< i32, h * W + w of what was taken, the first of equals
};
/// Padding is at most half of the window.
MaxPool2d max_pool2d(Context& context, const Tensor& x, const Window& window);
Tensor max_pool2d_grad(Context& context, const Tensor& places, const Tensor& grad, const Shape& x,
                       const Window& window);
/// The mean of what is there: padding does not count.
Tensor avg_pool2d(Context& context, const Tensor& x, const Window& window);
Tensor avg_pool2d_grad(Context& context, const Tensor& grad, const Shape& x, const Window& window);

}  // namespace reef::ops
