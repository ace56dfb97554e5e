#include "ops/cpu/gemm/onednn.h"

#include <algorithm>

#include "ops/cpu/gemm/epilogue.h"
#include "ops/cpu/gemm/primitives.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {

namespace {

/// Rows and columns of a tile, at most: large beside the 2 us that a call of oneDNN takes.
constexpr Index kTile = 256;
/// Tiles are multiples of it, as AMX's are.
constexpr Index kUnit = 32;

struct Cut {
  Index total, size, tiles;
  explicit Cut(Index extent) : total(extent) {
    const Index wanted = (extent + kTile - 1) / kTile;
    size = std::min(extent, ((extent + wanted - 1) / wanted + kUnit - 1) / kUnit * kUnit);
    tiles = (extent + size - 1) / size;
  }
  Index count(Index tile) const { return std::min(size, total - tile * size); }
};

bool has_neighbours(const Operand& operand) {
  return (operand.column_stride == 1 && operand.row_stride > 0) ||
         (operand.row_stride == 1 && operand.column_stride > 0);
}

const std::byte* element(const Operand& operand, Index row, Index column) {
  return static_cast<const std::byte*>(operand.data) +
         (row * operand.row_stride + column * operand.column_stride) *
             static_cast<Index>(size_of(operand.dtype));
}

class TiledProduct {
 public:
  TiledProduct(const MicroKernels& kernels, const Workers& workers, const MatrixProduct& product)
      : kernels_(kernels),
        workers_(workers),
        p_(product),
        rows_(product.rows),
        columns_(product.columns),
        aside_(!is_plain(product) || product.accumulate) {}

  bool run() {
    for (Index row = 0; row < rows_.tiles; row += std::max<Index>(1, rows_.tiles - 1)) {
      for (Index column = 0; column < columns_.tiles;
           column += std::max<Index>(1, columns_.tiles - 1)) {
        if (primitive(row, column) == nullptr) return false;
      }
    }
    packed_stride_ = round_up(std::max(primitive(0, 0)->packed_bytes(),
                                       primitive(0, columns_.tiles - 1)->packed_bytes()));
    const auto packed =
        workers_.pool.allocate(packed_stride_ * static_cast<std::size_t>(columns_.tiles));
    workers_.run(static_cast<std::size_t>(columns_.tiles), [&](std::size_t column) {
      const auto index = static_cast<Index>(column);
      primitive(0, index)->pack(element(p_.b, 0, index * columns_.size),
                                packed.get() + column * packed_stride_);
    });
    workers_.run(static_cast<std::size_t>(rows_.tiles * columns_.tiles), [&](std::size_t task) {
      const Index column = static_cast<Index>(task) % columns_.tiles;
      tile(static_cast<Index>(task) / columns_.tiles, column,
           packed.get() + static_cast<std::size_t>(column) * packed_stride_);
    });
    return true;
  }

 private:
  static std::size_t round_up(std::size_t bytes) {
    return (bytes + Pool::kAlignment - 1) / Pool::kAlignment * Pool::kAlignment;
  }

  std::shared_ptr<const TilePrimitive> primitive(Index row, Index column) const {
    return TilePrimitive::find({.is_bf16 = p_.a.dtype == DType::kBF16,
                                .rows = rows_.count(row),
                                .columns = columns_.count(column),
                                .inner = p_.inner,
                                .a_row_stride = p_.a.row_stride,
                                .a_column_stride = p_.a.column_stride,
                                .b_row_stride = p_.b.row_stride,
                                .b_column_stride = p_.b.column_stride,
                                .c_row_stride = sums_stride(),
                                .packed_for_rows = rows_.count(0)});
  }

  Index sums_stride() const { return aside_ ? columns_.size : p_.c.row_stride; }

  void tile(Index row, Index column, const std::byte* packed) const {
    const auto matmul = primitive(row, column);
    const Index first_row = row * rows_.size;
    const Index first_column = column * columns_.size;
    const auto scratch = workers_.pool.allocate(matmul->scratch_bytes());
    const auto sums_memory = workers_.pool.allocate(
        aside_ ? static_cast<std::size_t>(rows_.size * columns_.size) * sizeof(float) : 0);
    float* sums = aside_
                      ? reinterpret_cast<float*>(sums_memory.get())
                      : static_cast<float*>(p_.c.data) + first_row * p_.c.row_stride + first_column;
    matmul->run(element(p_.a, first_row, 0), packed, scratch.get(), sums);
    if (!aside_) return;
    Finish finish = finish_of(p_, first_row, first_column, sums, sums_stride());
    if (p_.accumulate) {  // the sums stand aside, so what c holds can be added as a residual
      finish.residual = {finish.out.data, false};
      finish.residual_stride = finish.out_stride;
    }
    kernels_.finish(finish, 0, rows_.count(row), 0, columns_.count(column));
  }

  const MicroKernels& kernels_;
  const Workers& workers_;
  const MatrixProduct& p_;
  const Cut rows_, columns_;
  const bool aside_;  ///< the sums need an epilogue, so they do not go into c
  std::size_t packed_stride_ = 0;
};

}  // namespace

bool has_bf16_products() { return __builtin_cpu_supports("avx512bf16") != 0; }

bool multiply_by_onednn(const MicroKernels& kernels, const Workers& workers,
                        const MatrixProduct& product) {
  CHECK(product.a.dtype == product.b.dtype) << "oneDNN multiplies operands of one dtype";
  if (product.rows == 0 || product.columns == 0) return true;
  if (product.inner == 0 || !has_neighbours(product.a) || !has_neighbours(product.b)) return false;
  return TiledProduct(kernels, workers, product).run();
}

}  // namespace reef::ops::cpu
