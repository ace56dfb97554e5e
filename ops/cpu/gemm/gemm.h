#pragma once
// The matrix product of the CPU backend: the one place where most of training's time is spent, so
// it has an engine of its own that works on views, and that finishes a result (bias, activation,
// residual) while it is still in the cache.
//
// Thread: gemm and gemm_batch run on the context's workers, gemm_inline on the calling thread
// alone. Memory: operands must not overlap the output; scratch comes from the pool and goes back.
// Numbers: every sum is a float and has one order, given by `inner` alone, so neither the shape
// beside it, nor the layout, nor the number of threads changes a bit. bf16 operands are widened
// exactly; the one exception is a processor with bf16 instructions, which sums in its own fixed
// order.
// Failure: none; shapes are checked by the op's inference before it comes here.

#include <cstdint>
#include <span>

#include "ops/catalog/attributes.h"
#include "ops/tensor/context.h"

namespace reef::ops::cpu {

/// A matrix in memory, f32 or bf16; strides are in elements and may be anything, so a transposed
/// matrix is one whose strides are exchanged.
struct Operand {
  const void* data;
  DType dtype;
  std::int64_t row_stride, column_stride;
};

/// A matrix whose columns are neighbours. Null data: absent.
struct Output {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t row_stride = 0;
};
struct Input {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t row_stride = 0;
};

/// c = residual + activation(a b + bias). Without residual and activation, with `accumulate`:
/// c = c + a b + bias.
struct MatrixProduct {
  std::int64_t rows, columns, inner;
  Operand a;                ///< (rows, inner)
  Operand b;                ///< (inner, columns)
  Output c;                 ///< (rows, columns)
  bool accumulate = false;  ///< only into f32
  Input bias = {};          ///< (columns); its row stride means nothing
  Activation activation = Activation::kNone;
  Output pre_activation = {};  ///< a b + bias, for the backward pass
  Input residual = {};         ///< (rows, columns); not c, for that is what `accumulate` is for
};

/// How the result is cut into tiles, counted in micro-kernels: those of a left operand that is read
/// where it lies, and those of one that is packed. Decides about caches and about the balance
/// between workers, not about a bit of the result.
struct Tiling {
  std::int64_t rows = 16, columns = 12;
  std::int64_t packed_rows = 8, packed_columns = 3;
};

void gemm(Context& context, const MatrixProduct& product, const Tiling& tiling = {});
/// The elements of the result that fall to the worker with the most, in whole tiles.
double largest_share(std::size_t workers, const MatrixProduct& product, const Tiling& tiling);
void gemm_inline(Pool& pool, const MatrixProduct& product);

/// One axis of a batch: how many products, and how far apart their matrices are, in elements; 0
/// shares one among all.
struct BatchAxis {
  std::int64_t count, a_stride, b_stride, c_stride;
};

/// `product` for each index of the axes, which shift a, b and c; for small products, such as
/// attention's. Residual and pre-activation are refused: they have no batch strides.
void gemm_batch(Context& context, const MatrixProduct& product, std::span<const BatchAxis> axes);

}  // namespace reef::ops::cpu
