#pragma once
// Random numbers as pure functions of a Draw (Philox, runtime/base/random.h).

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"

namespace reef::ops {

/// Scales what stays by 1 / (1 - p). Axis 0 counts samples. Give the same draw for the gradient.
Tensor dropout(Context& context, const Tensor& x, const Draw& draw);
/// In [0, 1). Axis 0 counts samples.
Tensor uniform(Context& context, DType dtype, const Shape& shape, const Draw& draw);
/// Mean 0, variance 1. Axis 0 counts samples.
Tensor normal(Context& context, DType dtype, const Shape& shape, const Draw& draw);

}  // namespace reef::ops
