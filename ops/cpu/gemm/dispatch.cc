#include "ops/cpu/isa/dispatch.h"
#include "ops/cpu/gemm/micro_kernels.h"

namespace reef::ops::cpu {

namespace {

MicroKernelList find_runnable() {
  MicroKernelList list{};
  if (has_instruction_set_v4()) list.tables[list.count++] = &v4::kMicroKernels;
  if (has_instruction_set_v3()) list.tables[list.count++] = &v3::kMicroKernels;
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
