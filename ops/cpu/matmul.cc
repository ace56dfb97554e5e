#include <cstring>

#include "ops/cpu/gemm.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

// Tiles of rows of the result; columns and K are whole, so a product has one order of summation.
void matmul(const Call& call) {
  const Tensor& a = call.in[0];
  const Tensor& b = call.in[1];
  const bool transpose_a = call.attributes.layout == Layout::kTN;
  const bool transpose_b = call.attributes.layout == Layout::kNT;
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
  });
}

}  // namespace reef::ops::cpu
