#pragma once
// The engine under gemm.h, with the instruction set and the workers as arguments.

#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/gemm/micro_kernels.h"

namespace reef::ops::cpu {

/// Who runs the tiles of one product.
struct Workers {
  Pool& pool;
  Context* context = nullptr;  ///< null: the calling thread alone

  /// Runs task(0) .. task(tasks - 1), all of them before it returns.
  void run(std::size_t tasks, TaskRef task) const;
};

/// Cuts the product into tiles of the result, packs what they share, and runs them.
void multiply(const MicroKernels& kernels, const Workers& workers, const MatrixProduct& product,
              const Tiling& tiling = {});

/// The operand that all tiles share, packed beforehand by all workers together.
enum class Shared : std::uint8_t { kNone, kLeft, kRight };

/// The tiles of a product under a tiling.
struct Cut {
  bool direct;  ///< the left operand is read where it lies
  Shared shared;
  Index rows, columns;  ///< of a tile
};
Cut cut_of(const MicroKernels& kernels, const MatrixProduct& product, const Tiling& tiling);

}  // namespace reef::ops::cpu
