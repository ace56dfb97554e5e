#pragma once
// Softmax over rows and what is built of it, on raw pointers, compiled once per instruction set
// (see kernels.h). Rows are f32 or bf16, arithmetic is f32; a row's bits depend on that row alone.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// Contiguous rows of `columns` > 0, all of one element type.
struct SoftmaxRows {
  Element element = Element::kF32;
  Index columns = 0;
  const void* x = nullptr;     ///< gradients: y, the result of the forward op
  const void* grad = nullptr;  ///< gradients: of y
  void* out = nullptr;
  float* room = nullptr;  ///< softmax of bf16: `columns` floats for the kernel's own use
};

/// One row's loss.
struct CrossEntropyRow {
  Element element = Element::kF32;
  Index columns = 0;
  const void* logits = nullptr;
  Index target = 0;  ///< within the columns
  float scale = 1;
  /// Null, or receives scale (softmax - onehot); the logits' own memory will do.
  void* grad = nullptr;
  float* room = nullptr;  ///< as above, for a gradient of bf16
};

struct SoftmaxKernels {
  using Rows = void (*)(const SoftmaxRows& op, Index first, Index count);
  Rows softmax;
  Rows softmax_grad;  ///< y (grad - sum(y grad))
  Rows log_softmax;
  Rows log_softmax_grad;  ///< grad - exp(y) sum(grad)
  /// log(sum(exp(logits))) - logits[target].
  double (*cross_entropy)(const CrossEntropyRow& row);
};

/// The table of the best instruction set that this processor has.
const SoftmaxKernels& softmax_kernels();

namespace v2 {
extern const SoftmaxKernels kSoftmaxKernels;
}
namespace v3 {
extern const SoftmaxKernels kSoftmaxKernels;
}
namespace v4 {
extern const SoftmaxKernels kSoftmaxKernels;
}

}  // namespace reef::ops::cpu
