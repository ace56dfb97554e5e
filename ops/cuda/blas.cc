#include "ops/cuda/blas.h"

#include <algorithm>
#include <memory>

#include "runtime/base/check.h"

// cuBLASLt thinks in columns. A row-major matrix seen by columns is its transpose, so a row-major
// c = a b is asked for as c^T = b^T a^T: b comes first, rows and columns change names, and what lay
// transposed lies straight.

namespace reef::ops::cuda {

namespace {

/// Enough for every algorithm that cuBLASLt recommends on Hopper.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;

#define ATOLL_BLAS(call)                                           \
  do {                                                             \
    const cublasStatus_t atoll_status = (call);                    \
    CHECK(atoll_status == CUBLAS_STATUS_SUCCESS)                   \
        << #call << ": " << cublasLtGetStatusString(atoll_status); \
  } while (false)

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return CUDA_R_32F;
    case DType::kBF16:
      return CUDA_R_16BF;
    case DType::kF16:
      return CUDA_R_16F;
    case DType::kF64:
      return CUDA_R_64F;
    default:
      CHECK(false) << "no product of " << name_of(dtype);
      return CUDA_R_32F;
  }
}

template <typename T>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  ATOLL_BLAS(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
}
template <typename T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  ATOLL_BLAS(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value));
}
template <typename T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  ATOLL_BLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
}

/// Bytes that an address is aligned to, as far as algorithms care.
std::uint32_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address) | 256;
  return static_cast<std::uint32_t>(bits & -bits);
}

cublasLtEpilogue_t epilogue_of(const Gemm& gemm) {
  if (gemm.gelu && gemm.before != nullptr) {
    return gemm.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  }
  if (gemm.gelu) return gemm.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  return gemm.bias != nullptr ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

/// A matrix as cuBLASLt sees it: (rows, columns) lying by columns.
class MatrixLayout {
 public:
  MatrixLayout(DType dtype, std::int64_t rows, std::int64_t columns, std::int64_t column_stride,
               std::int64_t batch, std::int64_t batch_stride) {
    // A matrix of one column has no stride, and cuBLASLt wants one that would do.
    column_stride = std::max(column_stride, rows);
    ATOLL_BLAS(cublasLtMatrixLayoutCreate(&layout_, type_of(dtype),
                                          static_cast<std::uint64_t>(rows),
                                          static_cast<std::uint64_t>(columns), column_stride));
    if (batch == 1) return;
    set(layout_, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(batch));
    set(layout_, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch_stride);
  }
  ~MatrixLayout() { cublasLtMatrixLayoutDestroy(layout_); }
  MatrixLayout(const MatrixLayout&) = delete;
  MatrixLayout& operator=(const MatrixLayout&) = delete;
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

/// Of an operand that is (rows, columns) for cuBLASLt after its transposition, if any.
MatrixLayout layout_of(const Gemm& gemm, const Operand& operand, std::int64_t rows,
                       std::int64_t columns) {
  if (operand.transposed) std::swap(rows, columns);
  return {gemm.dtype, rows, columns, operand.row_stride, gemm.batch, operand.batch_stride};
}

}  // namespace

/// What cuBLASLt is asked, in its own words.
struct Blas::Problem {
  explicit Problem(const Gemm& gemm)
      : first(layout_of(gemm, gemm.b, gemm.columns, gemm.inner)),
        second(layout_of(gemm, gemm.a, gemm.inner, gemm.rows)),
        result(gemm.result, gemm.columns, gemm.rows, gemm.columns, gemm.batch,
               gemm.columns * gemm.rows) {
    const bool wide = gemm.dtype == DType::kF64;
    ATOLL_BLAS(cublasLtMatmulDescCreate(&desc, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                        wide ? CUDA_R_64F : CUDA_R_32F));
    set(desc, CUBLASLT_MATMUL_DESC_TRANSA, gemm.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(desc, CUBLASLT_MATMUL_DESC_TRANSB, gemm.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(gemm));
    if (gemm.bias != nullptr) set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, gemm.bias);
    if (gemm.before == nullptr) return;
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, gemm.before);
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, gemm.columns);
  }
  ~Problem() { cublasLtMatmulDescDestroy(desc); }
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  cublasLtMatmulDesc_t desc = nullptr;
  MatrixLayout first, second, result;
};

Blas::Blas(Pool& pool) : pool_(pool) { ATOLL_BLAS(cublasLtCreate(&handle_)); }

Blas::~Blas() { cublasLtDestroy(handle_); }

Blas::Algorithm Blas::choose(const Gemm& gemm, Problem& problem, std::uint32_t reductions) const {
  cublasLtMatmulPreference_t preference = nullptr;
  ATOLL_BLAS(cublasLtMatmulPreferenceCreate(&preference));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(gemm.b.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(gemm.a.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
      alignment_of(gemm.addend != nullptr ? gemm.addend : gemm.c));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(gemm.c));
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_, problem.desc, problem.first.get(), problem.second.get(), problem.result.get(),
      problem.result.get(), preference, 1, &best, &found);
  cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0) return {};
  return {true, best.algo, best.workspaceSize};
}

const Blas::Algorithm& Blas::algorithm_for(const Gemm& gemm, Problem& problem) {
  const Key key = {gemm.batch,
                   gemm.rows,
                   gemm.columns,
                   gemm.inner,
                   gemm.a.row_stride,
                   gemm.a.batch_stride,
                   gemm.a.transposed,
                   gemm.b.row_stride,
                   gemm.b.batch_stride,
                   gemm.b.transposed,
                   static_cast<std::int64_t>(gemm.dtype),
                   static_cast<std::int64_t>(gemm.result),
                   static_cast<std::int64_t>(epilogue_of(gemm)),
                   gemm.addend == nullptr  ? 0
                   : gemm.addend == gemm.c ? 1
                                           : 2,
                   alignment_of(gemm.a.data),
                   alignment_of(gemm.b.data),
                   alignment_of(gemm.c),
                   alignment_of(gemm.addend),
                   alignment_of(gemm.bias),
                   alignment_of(gemm.before)};
  const auto known = algorithms_.find(key);
  if (known != algorithms_.end()) return known->second;
  Algorithm chosen = choose(gemm, problem, CUBLASLT_REDUCTION_SCHEME_NONE);
  if (!chosen.found) chosen = choose(gemm, problem, CUBLASLT_REDUCTION_SCHEME_MASK);
  return algorithms_.emplace(key, chosen).first->second;
}

bool Blas::multiply(cudaStream_t stream, const Gemm& gemm) {
  Problem problem(gemm);
  const Algorithm& algorithm = algorithm_for(gemm, problem);
  if (!algorithm.found) return false;
  const std::shared_ptr<std::byte> workspace = pool_.allocate(algorithm.workspace);
  const float single[] = {1, gemm.addend != nullptr ? 1.0f : 0.0f};
  const double wide[] = {1, gemm.addend != nullptr ? 1.0 : 0.0};
  const bool is_wide = gemm.dtype == DType::kF64;
  const void* alpha = is_wide ? static_cast<const void*>(&wide[0]) : &single[0];
  const void* beta = is_wide ? static_cast<const void*>(&wide[1]) : &single[1];
  ATOLL_BLAS(cublasLtMatmul(handle_, problem.desc, alpha, gemm.b.data, problem.first.get(),
                            gemm.a.data, problem.second.get(), beta,
                            gemm.addend != nullptr ? gemm.addend : gemm.c, problem.result.get(),
                            gemm.c, problem.result.get(), &algorithm.code, workspace.get(),
                            algorithm.workspace, stream));
  return true;
}

}  // namespace reef::ops::cuda
