#include <cmath>
#include <cstring>

#include "ops/cpu/gemm.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

float silu(float x) { return x / (1.0f + std::exp(-x)); }

/// What follows the product: the activation, what stood before it, the residual.
void finish(const Call& call, std::int64_t first, std::int64_t count) {
  float* c = call.out[0].data<float>() + first;
  if (call.out.size() > 1) {
    std::memcpy(call.out[1].data<float>() + first, c,
                static_cast<std::size_t>(count) * sizeof(float));
  }
  switch (call.attributes.activation) {
    case Activation::kNone:
      break;
    case Activation::kGelu:
      vector_kernels().gelu(count, c, c);
      break;
    case Activation::kSilu:
      std::transform(c, c + count, c, silu);
      break;
    case Activation::kRelu:
      std::transform(c, c + count, c, [](float x) { return std::max(x, 0.0f); });
      break;
  }
  if (call.in.size() > 3) {
    vector_kernels().add(count, c, call.in[3].data<float>() + first, c);
  }
}

}  // namespace

// Tiles of rows of the result; columns and K are whole, so a product has one order of summation.
void matmul(const Call& call) {
  const Tensor& a = call.in[0];
  const Tensor& b = call.in[1];
  const bool transpose_a = call.attributes.product == Product::kTN;
  const bool transpose_b = call.attributes.product == Product::kNT;
  const std::int64_t lda = a.shape().back();
  const std::int64_t ldb = b.shape().back();
  const std::int64_t rows = call.out[0].shape().rows();
  const std::int64_t columns = call.out[0].shape().back();
  const std::int64_t inner = transpose_a ? a.shape().rows() : lda;
  const float* bias = call.in.size() > 2 ? call.in[2].data<float>() : nullptr;
  const float* a_data = a.data<float>();
  const float* b_data = b.data<float>();
  float* c_data = call.out[0].data<float>();
  for_tiles(call.context, rows, kMatmulRows, [&](std::int64_t first, std::int64_t count) {
    float* c = c_data + first * columns;
    if (bias != nullptr) {
      for (std::int64_t row = 0; row < count; ++row) {
        std::memcpy(c + row * columns, bias, static_cast<std::size_t>(columns) * sizeof(float));
      }
    }
    gemm(transpose_a, transpose_b, count, columns, inner,
         a_data + (transpose_a ? first : first * lda), lda, b_data, ldb, bias != nullptr ? 1 : 0, c,
         columns);
    finish(call, first * columns, count * columns);
  });
}

}  // namespace reef::ops::cpu
