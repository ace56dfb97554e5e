#pragma once
// Optimizer updates on raw pointers, compiled once per instruction set (see kernels.h). Rules and
// factors: ops/primitive/optimizers.h.

#include "ops/primitive/factors.h"
#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// One tensor's update, in place. Arithmetic and states are f32, or f64 for an f64 master.
struct TensorUpdate {
  Element grad_element = Element::kF32;
  Element master_element = Element::kF32;
  Element copy_element = Element::kBF16;
  const void* grad = nullptr;
  void* master = nullptr;
  void* states[2] = {};  ///< as many as the rule has
  void* copy = nullptr;  ///< the new master rounded to `copy_element`, or null
};

struct OptimizerKernels {
  // Elements [first, first + count).
  void (*adamw)(const primitive::AdamWFactors&, const TensorUpdate&, Index first, Index count);
  void (*sgd)(const primitive::SgdFactors&, const TensorUpdate&, Index first, Index count);
  void (*lion)(const primitive::LionFactors&, const TensorUpdate&, Index first, Index count);
};

/// The table of the best instruction set that this processor has.
const OptimizerKernels& optimizer_kernels();

namespace v2 {
extern const OptimizerKernels kOptimizerKernels;
}
namespace v3 {
extern const OptimizerKernels kOptimizerKernels;
}
namespace v4 {
extern const OptimizerKernels kOptimizerKernels;
}

}  // namespace reef::ops::cpu
