#include "ops/catalog/draw.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void dropout(const Call& call) {
  const Draw& draw = call.attributes.draw;
  const Random stream = dropout_stream(draw);
  const float* x = call.in[0].data<float>();
  float* out = call.out[0].data<float>();
  const Index samples = call.in[0].shape().front();
  const Index row = samples > 0 ? call.in[0].elements() / samples : 0;
  for_tiles(call.context, call.out[0].elements(), kElements, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      out[i] = x[i] * dropout_factor(stream, draw,
                                     draw.first_sample + static_cast<std::uint64_t>(i / row),
                                     static_cast<std::uint64_t>(i % row));
    }
  });
}

}  // namespace reef::ops::cpu
