#include "ops/codec/isa/dispatch.h"

#include <cpuid.h>

namespace reef::codec {
namespace {

constexpr const Kernels* kTables[] = {&v2::kKernels, &v3::kKernels, &v4::kKernels};

/// By hand, since Clang 14 does not know it by name.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool has_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma") && has_f16c();
}

bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace

std::span<const Kernels* const> runnable_kernels() {
  static const std::size_t count = has_v4() ? 3 : has_v3() ? 2 : 1;
  return std::span(kTables).first(count);
}

const Kernels& kernels() {
  static const Kernels& best = *runnable_kernels().back();
  return best;
}

}  // namespace reef::codec
