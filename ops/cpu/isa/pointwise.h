#pragma once
// Elementwise kernels on raw pointers, compiled once per instruction set (see kernels.h).
//
// A core computes one function over contiguous values of one compute type. `run` brings a core any
// layout and any element type: what is not already a contiguous run of the compute type goes
// through a small buffer that stays in the first-level cache. So there is one loop per function
// and compute type, not one per layout and element type.

#include "ops/primitive/strided.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

enum class Function : std::uint8_t {
  // One input. Integers: the first six.
  kCopy,
  kNeg,
  kAbs,
  kSign,
  kSquare,
  kRelu,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kTanh,
  kSigmoid,
  kErf,
  kSin,
  kCos,
  kGelu,
  kSilu,
  kAffine,  ///< x * scalars[0] + scalars[1]
  // Two inputs. Integers: all but kDiv and the gradients.
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMaximum,
  kMinimum,
  kEqual,
  kLess,
  kLessEqual,
  kGeluGrad,     ///< x, grad
  kSiluGrad,     ///< x, grad
  kSwiGlu,       ///< gate, up
  kGeluAndGrad,  ///< x, grad -> gelu(x) and the gradient of x
  // Three inputs.
  kWhere,       ///< condition, a, b; also of integers
  kSwiGluGrad,  ///< gate, up, grad -> the gradients of gate and up
};
inline constexpr int kFunctionCount = static_cast<int>(Function::kSwiGluGrad) + 1;

/// What arithmetic is done in: f32 for 16-bit floats, i32 for bytes, else the element's own type.
enum class Compute : std::uint8_t { kF32, kF64, kI32, kI64 };
inline constexpr int kComputeCount = 4;

/// Operands as the core sees them: contiguous (step 1) or the same 16 values everywhere (step 0).
struct CoreOperands {
  const void* in[primitive::kMaxInputs];
  Index step[primitive::kMaxInputs];
  void* out[primitive::kMaxOutputs];
  const double* scalars;
};
using PointwiseCore = void (*)(Index count, const CoreOperands& operands);

/// One elementwise op. Outputs may be inputs if they have the same layout and element type.
struct Pointwise {
  Compute compute = Compute::kF32;
  primitive::Strided layout;  ///< coalesced
  const void* in[primitive::kMaxInputs] = {};
  void* out[primitive::kMaxOutputs] = {};
  Element in_element[primitive::kMaxInputs] = {};
  Element out_element[primitive::kMaxOutputs] = {};
  double scalars[2] = {};
};

struct PointwiseKernels {
  /// Null where a function is not defined on a type.
  PointwiseCore cores[kFunctionCount][kComputeCount];
  /// Elements [first, first + count) in row-major order.
  void (*run)(PointwiseCore core, const Pointwise& op, Index first, Index count);
};

/// The table of the best instruction set that this processor has.
const PointwiseKernels& pointwise_kernels();

namespace v2 {
extern const PointwiseKernels kPointwiseKernels;
}
namespace v3 {
extern const PointwiseKernels kPointwiseKernels;
}
namespace v4 {
extern const PointwiseKernels kPointwiseKernels;
}

}  // namespace reef::ops::cpu
