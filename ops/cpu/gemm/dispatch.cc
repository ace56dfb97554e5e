#include "ops/cpu/gemm/micro_kernels.h"

namespace reef::ops::cpu {

namespace {

MicroKernelList find_runnable() {
  MicroKernelList list{};
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    list.tables[list.count++] = &v4::kMicroKernels;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("fma")) {
    list.tables[list.count++] = &v3::kMicroKernels;
  }
  list.tables[list.count++] = &v2::kMicroKernels;
  return list;
}

}  // namespace

const MicroKernelList& runnable_micro_kernels() {
  static const MicroKernelList list = find_runnable();
  return list;
}

const MicroKernels& micro_kernels() {
  static const MicroKernels& best = *runnable_micro_kernels().tables[0];
  return best;
}

}  // namespace reef::ops::cpu
