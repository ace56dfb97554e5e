#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void column_sum(const Call& call) {
  const Index rows = call.in[0].shape().rows();
  const Index columns = call.in[0].shape().back();
  const float* x = call.in[0].data<float>();
  float* out = call.out[0].data<float>();
  for_tiles(call.context, columns, kColumns, [&](Index first, Index count) {
    vector_kernels().column_sum(rows, columns, first, count, x, out);
  });
}

}  // namespace reef::ops::cpu
