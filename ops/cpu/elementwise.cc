#include "ops/catalog/draw.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"
#include "ops/tensor/convert.h"

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

void to_bf16(const Call& call) {
  const Index elements = call.in[0].elements();
  const Tensor& out = call.out[0];
  if (out.dtype() != DType::kBF16) {
    convert(DType::kF32, call.in[0].raw(), 1, out.dtype(), out.raw(), 1, elements);
    return;
  }
  const float* x = call.in[0].data<float>();
  auto* to = reinterpret_cast<std::uint16_t*>(out.data<BF16>());
  for_tiles(call.context, elements, kElements, [&](Index first, Index count) {
    vector_kernels().to_bf16(count, x + first, to + first);
  });
}

void from_bf16(const Call& call) {
  const Index elements = call.in[0].elements();
  const Tensor& out = call.out[0];
  if (out.dtype() != DType::kF32) {
    convert(DType::kBF16, call.in[0].raw(), 1, out.dtype(), out.raw(), 1, elements);
    return;
  }
  const auto* x = reinterpret_cast<const std::uint16_t*>(call.in[0].data<BF16>());
  float* to = out.data<float>();
  for_tiles(call.context, elements, kElements, [&](Index first, Index count) {
    vector_kernels().from_bf16(count, x + first, to + first);
  });
}

}  // namespace reef::ops::cpu
