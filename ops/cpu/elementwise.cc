#include "ops/catalog/draw.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void add(const Call& call) {
  const float* a = call.in[0].data<float>();
  const float* b = call.in[1].data<float>();
  float* out = call.out[0].data<float>();
  for_tiles(call.context, call.out[0].elements(), kElements, [&](Index first, Index count) {
    vector_kernels().add(count, a + first, b + first, out + first);
  });
}

void gelu(const Call& call) {
  const float* x = call.in[0].data<float>();
  float* out = call.out[0].data<float>();
  for_tiles(call.context, call.out[0].elements(), kElements, [&](Index first, Index count) {
    vector_kernels().gelu(count, x + first, out + first);
  });
}

void gelu_grad(const Call& call) {
  const float* x = call.in[0].data<float>();
  const float* grad = call.in[1].data<float>();
  float* out = call.out[0].data<float>();
  for_tiles(call.context, call.out[0].elements(), kElements, [&](Index first, Index count) {
    vector_kernels().gelu_grad(count, x + first, grad + first, out + first);
  });
}

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

void cast(const Call& call) {
  const Index elements = call.in[0].elements();
  if (call.attributes.to == DType::kBF16) {
    const float* x = call.in[0].data<float>();
    auto* out = reinterpret_cast<std::uint16_t*>(call.out[0].data<BF16>());
    for_tiles(call.context, elements, kElements, [&](Index first, Index count) {
      vector_kernels().to_bf16(count, x + first, out + first);
    });
    return;
  }
  const auto* x = reinterpret_cast<const std::uint16_t*>(call.in[0].data<BF16>());
  float* out = call.out[0].data<float>();
  for_tiles(call.context, elements, kElements, [&](Index first, Index count) {
    vector_kernels().from_bf16(count, x + first, out + first);
  });
}

}  // namespace reef::ops::cpu
