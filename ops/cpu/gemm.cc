#include "ops/cpu/gemm.h"

#include <dnnl.h>
#include <omp.h>

#include "runtime/base/check.h"

namespace reef::ops::cpu {

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  // oneDNN would start a team of its own beside our workers, and split K among it. The setting is
  // OpenMP's per-thread one, so it is made once on each thread that comes here.
  [[maybe_unused]] static thread_local const bool alone = (omp_set_num_threads(1), true);
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k,
                                          1.0f, a, lda, b, ldb, beta, c, ldc);
  CHECK(status == dnnl_success) << "dnnl_sgemm: " << status;
}

}  // namespace reef::ops::cpu
