#pragma once
// Helpers for tests of the kernels that are compiled once per instruction set.

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/cpu/isa/adafactor.h"
#include "ops/cpu/isa/dispatch.h"
#include "ops/cpu/isa/norm.h"
#include "ops/cpu/isa/optimizer.h"
#include "ops/cpu/isa/pointwise.h"
#include "ops/cpu/isa/pool.h"
#include "ops/cpu/isa/reduction.h"
#include "ops/cpu/isa/rope.h"
#include "ops/cpu/isa/scan.h"
#include "ops/cpu/isa/softmax.h"

namespace reef::ops::testing {

/// The kernels of one instruction set.
struct InstructionSet {
  std::string name;
  const cpu::PointwiseKernels& pointwise;
  const cpu::ReductionKernels& reduction;
  const cpu::ScanKernels& scan;
  const cpu::OptimizerKernels& optimizer;
  const cpu::AdafactorKernels& adafactor;
  const cpu::NormKernels& norm;
  const cpu::SoftmaxKernels& softmax;
  const cpu::RopeKernels& rope;
  const cpu::PoolKernels& pool;
};

/// Those that this processor has; the first is the plainest.
inline std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
#define ATOLL_SET(isa)                        \
  InstructionSet{#isa,                        \
                 cpu::isa::kPointwiseKernels, \
                 cpu::isa::kReductionKernels, \
                 cpu::isa::kScanKernels,      \
                 cpu::isa::kOptimizerKernels, \
                 cpu::isa::kAdafactorKernels, \
                 cpu::isa::kNormKernels,      \
                 cpu::isa::kSoftmaxKernels,   \
                 cpu::isa::kRopeKernels,      \
                 cpu::isa::kPoolKernels}
  sets.push_back(ATOLL_SET(v2));
  if (cpu::has_instruction_set_v3()) sets.push_back(ATOLL_SET(v3));
  if (cpu::has_instruction_set_v4()) sets.push_back(ATOLL_SET(v4));
#undef ATOLL_SET
  return sets;
}

template <typename T>
struct ElementFor;
template <>
struct ElementFor<float> {
  static constexpr auto element = cpu::Element::kF32;
  static constexpr auto compute = cpu::Compute::kF32;
};
template <>
struct ElementFor<double> {
  static constexpr auto element = cpu::Element::kF64;
  static constexpr auto compute = cpu::Compute::kF64;
};
template <>
struct ElementFor<std::int32_t> {
  static constexpr auto element = cpu::Element::kI32;
  static constexpr auto compute = cpu::Compute::kI32;
};
template <>
struct ElementFor<std::int64_t> {
  static constexpr auto element = cpu::Element::kI64;
  static constexpr auto compute = cpu::Compute::kI64;
};

inline cpu::PointwiseCore core_of(const cpu::PointwiseKernels& kernels, cpu::Function function,
                                  cpu::Compute compute) {
  return kernels.cores[static_cast<int>(function)][static_cast<int>(compute)];
}

/// Output 0 of a function of contiguous inputs.
template <typename T>
std::vector<T> apply(const cpu::PointwiseKernels& kernels, cpu::Function function,
                     const std::vector<std::vector<T>>& in, double scale = 0, double shift = 0) {
  cpu::Pointwise op;
  op.compute = ElementFor<T>::compute;
  op.layout.rank = 1;
  op.layout.shape[0] = static_cast<cpu::Index>(in[0].size());
  op.layout.inputs = static_cast<int>(in.size());
  op.layout.outputs =
      function == cpu::Function::kSwiGluGrad || function == cpu::Function::kGeluAndGrad ? 2 : 1;
  for (std::size_t k = 0; k < in.size(); ++k) {
    op.in[k] = in[k].data();
    op.in_element[k] = ElementFor<T>::element;
    op.layout.strides[k][0] = 1;
  }
  std::vector<T> out(2 * in[0].size());
  for (int k = 0; k < op.layout.outputs; ++k) {
    op.out[k] = out.data() + k * op.layout.shape[0];
    op.out_element[k] = ElementFor<T>::element;
    op.layout.strides[op.layout.inputs + k][0] = 1;
  }
  op.scalars[0] = scale;
  op.scalars[1] = shift;
  kernels.run(core_of(kernels, function, op.compute), op, 0, op.layout.shape[0]);
  out.resize(in[0].size() * static_cast<std::size_t>(op.layout.outputs));
  return out;
}

/// Whether all bits agree; any NaN is as good as another, since operands of an addition may be
/// swapped.
template <typename T>
bool equal_bits(const std::vector<T>& a, const std::vector<T>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i) {
    equal = std::memcmp(&a[i], &b[i], sizeof(T)) == 0 || (a[i] != a[i] && b[i] != b[i]);
  }
  return equal;
}

}  // namespace reef::ops::testing
