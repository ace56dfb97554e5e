#include "ops/cpu/isa/dispatch.h"

#include "ops/cpu/isa/adafactor.h"
#include "ops/cpu/isa/attention.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/isa/norm.h"
#include "ops/cpu/isa/optimizer.h"
#include "ops/cpu/isa/pointwise.h"
#include "ops/cpu/isa/pool.h"
#include "ops/cpu/isa/reduction.h"
#include "ops/cpu/isa/rope.h"
#include "ops/cpu/isa/scan.h"
#include "ops/cpu/isa/softmax.h"

namespace reef::ops::cpu {

namespace {

/// The table of the best instruction set.
template <typename Table>
const Table& best(const Table& v2, const Table& v3, const Table& v4) {
  if (has_instruction_set_v4()) return v4;
  return has_instruction_set_v3() ? v3 : v2;
}

}  // namespace

bool has_instruction_set_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_instruction_set_v4() {
  return has_instruction_set_v3() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const VectorKernels& vector_kernels() {
  static const VectorKernels& chosen =
      best(v2::kVectorKernels, v3::kVectorKernels, v4::kVectorKernels);
  return chosen;
}

const AttentionKernels& attention_kernels() {
  static const AttentionKernels& chosen =
      best(v2::kAttentionKernels, v3::kAttentionKernels, v4::kAttentionKernels);
  return chosen;
}

const PointwiseKernels& pointwise_kernels() {
  static const PointwiseKernels& chosen =
      best(v2::kPointwiseKernels, v3::kPointwiseKernels, v4::kPointwiseKernels);
  return chosen;
}

const ReductionKernels& reduction_kernels() {
  static const ReductionKernels& chosen =
      best(v2::kReductionKernels, v3::kReductionKernels, v4::kReductionKernels);
  return chosen;
}

const ScanKernels& scan_kernels() {
  static const ScanKernels& chosen = best(v2::kScanKernels, v3::kScanKernels, v4::kScanKernels);
  return chosen;
}

const NormKernels& norm_kernels() {
  static const NormKernels& chosen = best(v2::kNormKernels, v3::kNormKernels, v4::kNormKernels);
  return chosen;
}

const RopeKernels& rope_kernels() {
  static const RopeKernels& chosen = best(v2::kRopeKernels, v3::kRopeKernels, v4::kRopeKernels);
  return chosen;
}

const SoftmaxKernels& softmax_kernels() {
  static const SoftmaxKernels& chosen =
      best(v2::kSoftmaxKernels, v3::kSoftmaxKernels, v4::kSoftmaxKernels);
  return chosen;
}

const OptimizerKernels& optimizer_kernels() {
  static const OptimizerKernels& chosen =
      best(v2::kOptimizerKernels, v3::kOptimizerKernels, v4::kOptimizerKernels);
  return chosen;
}

const AdafactorKernels& adafactor_kernels() {
  static const AdafactorKernels& chosen =
      best(v2::kAdafactorKernels, v3::kAdafactorKernels, v4::kAdafactorKernels);
  return chosen;
}

const PoolKernels& pool_kernels() {
  static const PoolKernels& chosen = best(v2::kPoolKernels, v3::kPoolKernels, v4::kPoolKernels);
  return chosen;
}

}  // namespace reef::ops::cpu
