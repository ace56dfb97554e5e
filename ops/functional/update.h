#pragma once
// Optimizers: one call updates up to 256 tensors in place.

#include <span>

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"

namespace reef::ops {

/// What an update reads and writes. All spans have the length of `gradients` or are empty where
/// said. Tensors are contiguous; element counts may differ between them.
struct UpdateTensors {
  std::span<const Tensor> gradients;  ///< f32 or bf16, all of one dtype
  std::span<const Tensor> masters;    ///< f32
  std::span<const Tensor> first;      ///< f32: means (AdamW), momenta (SGD, Lion), row squares
  std::span<const Tensor> second;  ///< f32: squares (AdamW), column squares (Adafactor); else empty
  std::span<const Tensor> weights;  ///< rounded copies of the masters to write (bf16); or empty
};

void adamw(Context& context, const UpdateTensors& tensors, const Update& factors);
void sgd(Context& context, const UpdateTensors& tensors, const Update& factors);
void lion(Context& context, const UpdateTensors& tensors, const Update& factors);
/// States of a matrix (R, C) are (R) and (C), moving sums of squares over rows and over columns; of
/// a vector (C) and (0).
void adafactor(Context& context, const UpdateTensors& tensors, const Update& factors);

}  // namespace reef::ops
