#pragma once
// Products by cuBLASLt: row-major matrices in, one call, an algorithm chosen once for each shape.

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <map>

#include "ops/tensor/dtype.h"
#include "ops/tensor/pool.h"

namespace reef::ops::cuda {

/// A row-major matrix, or a batch of them. `transposed`: what lies there is the transpose.
struct Operand {
  const void* data = nullptr;
  std::int64_t row_stride = 0;    ///< elements from a row that lies there to the next
  std::int64_t batch_stride = 0;  ///< elements
  bool transposed = false;
};

/// c = activation(a b + bias) + beta addend for `batch` matrices a (rows, inner), b (inner,
/// columns). Sums run in f32 (f64 for f64): TF32 is never used.
struct Gemm {
  std::int64_t batch = 1, rows = 0, columns = 0, inner = 0;
  Operand a, b;
  DType dtype = DType::kF32;     ///< of a and b
  DType result = DType::kF32;    ///< of c, addend and before: `dtype`, or f32
  void* c = nullptr;             ///< (batch, rows, columns), contiguous
  const void* addend = nullptr;  ///< as c, may be c; null: none
  const void* bias = nullptr;    ///< (columns), dtype `result`; null: none
  bool gelu = false;             ///< the tanh form, as cuBLASLt has it
  void* before = nullptr;        ///< with gelu: a b + bias, as c; null: not kept
};

/// One cuBLASLt handle and the algorithms it chose.
/// Thread: one at a time. Memory: `pool` outlives it and gives the workspace of each call.
/// Numbers: where there is a choice, no algorithm that splits the inner extent is taken; those that
/// do add the parts in a fixed order. The same shape gives the same bits on one kind of GPU.
class Blas {
 public:
  explicit Blas(Pool& pool);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// Queues the product. False when cuBLASLt has no algorithm for it: ask again without the bias,
  /// gelu and addend, for which there always is one. Extents must be positive.
  bool multiply(cudaStream_t stream, const Gemm& gemm);

 private:
  struct Algorithm {
    bool found = false;
    cublasLtMatmulAlgo_t code{};
    std::size_t workspace = 0;
  };
  struct Problem;
  using Key = std::array<std::int64_t, 20>;
  const Algorithm& algorithm_for(const Gemm& gemm, Problem& problem);
  Algorithm choose(const Gemm& gemm, Problem& problem, std::uint32_t reductions) const;

  Pool& pool_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, Algorithm> algorithms_;
};

}  // namespace reef::ops::cuda
