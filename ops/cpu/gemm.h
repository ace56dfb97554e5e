#pragma once
// The one door to oneDNN.

#include <cstdint>

namespace reef::ops::cpu {

/// Row-major C = op(A) op(B) + beta C with op(A) (m, k), op(B) (k, n), on the calling thread alone.
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc);

}  // namespace reef::ops::cpu
