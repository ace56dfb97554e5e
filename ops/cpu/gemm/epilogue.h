#pragma once
// From a MatrixProduct's epilogue to what the kernels of one tile are given.

#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/gemm/micro_kernels.h"

namespace reef::ops::cpu {

/// Whether the sums are the result as they stand.
bool is_plain(const MatrixProduct& product);

/// Of the tile of c whose first element is (row, column), with its sums at `sums`.
Finish finish_of(const MatrixProduct& product, std::int64_t row, std::int64_t column,
                 const float* sums, std::int64_t sums_stride);

}  // namespace reef::ops::cpu
