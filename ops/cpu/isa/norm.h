#pragma once
// Norms of rows on raw pointers, compiled once per instruction set (see kernels.h): of layers (Ba
// et al. 2016, arXiv 1607.06450) and by the root mean square (Zhang and Sennrich 2019, arXiv
// 1910.07467), which is the former with a mean of 0 and no bias. Rows are f32 or bf16, arithmetic
// is f32; sums over rows run from top to bottom, so no tiling changes the bits.

#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

enum class NormKind : std::uint8_t { kLayer, kRootMeanSquare };

/// Contiguous rows of `columns`, and what is applied to each.
struct NormRows {
  NormKind kind = NormKind::kLayer;
  Element element = Element::kF32;         ///< of rows
  Element weight_element = Element::kF32;  ///< of weight and bias: f32, or that of rows
  Index columns = 0;
  const void* x = nullptr;
  const void* weight = nullptr;
};

struct Norm : NormRows {
  float epsilon = 0;
  const void* bias = nullptr;    ///< of layers only
  const void* addend = nullptr;  ///< perhaps: added to x first; the rounded sum is normalised
  void* sum = nullptr;           ///< x + addend, if there is one
  void* y = nullptr;
  /// A row: mean and 1 / deviation; of root mean squares: 1 / root.
  float* statistics = nullptr;
};

struct NormGrad : NormRows {
  Index rows = 0;
  const float* statistics = nullptr;  ///< as the forward pass left them
  const void* grad = nullptr;         ///< of y
  const void* past = nullptr;         ///< perhaps: added to x's gradient
  void* x_grad = nullptr;
  void* weight_grad = nullptr;
  void* bias_grad = nullptr;  ///< of layers only
};

struct NormKernels {
  /// Rows [first, first + count).
  void (*norm)(const Norm& op, Index first, Index count);
  void (*x_grad)(const NormGrad& op, Index first, Index count);
  /// Columns [first, first + count), of all rows.
  void (*weight_grad)(const NormGrad& op, Index first, Index count);
};

/// The table of the best instruction set that this processor has.
const NormKernels& norm_kernels();

namespace v2 {
extern const NormKernels kNormKernels;
}
namespace v3 {
extern const NormKernels kNormKernels;
}
namespace v4 {
extern const NormKernels kNormKernels;
}

}  // namespace reef::ops::cpu
