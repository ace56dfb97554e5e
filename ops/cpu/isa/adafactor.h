#pragma once
// Adafactor on raw pointers, compiled once per instruction set (see kernels.h). Its step needs sums
// over the whole parameter before the first element can move, so it is four passes over tiles:
// add_squares, move_columns, square_steps, step.
//
// Numbers: elements in f32, or f64 for an f64 master; sums in double, in an order given by the
// tile.

#include "ops/primitive/factors.h"
#include "ops/primitive/target.h"

namespace reef::ops::cpu {

using Index = std::int64_t;
using primitive::Element;

/// One parameter seen as (rows, columns). The second moment of an element is row state * column
/// state / sum of the row states. A vector is one row without a row state: each of its columns has
/// a moment of its own.
struct FactoredUpdate {
  Element grad_element = Element::kF32;
  Element master_element = Element::kF32;
  Element copy_element = Element::kBF16;
  Index columns = 0;
  const void* grad = nullptr;     ///< (rows, columns)
  void* master = nullptr;         ///< (rows, columns)
  void* row_states = nullptr;     ///< (rows), or null
  void* column_states = nullptr;  ///< (columns)
  void* copy = nullptr;           ///< the new master rounded to `copy_element`, or null
};

/// A part of a parameter; with row states it has all columns.
struct FactoredTile {
  Index row, rows, column, columns;
};

struct AdafactorKernels {
  /// Moves the row states towards the sums of squared gradients; writes the sums over the tile's
  /// rows to `column_sums`, which is of the whole parameter's columns.
  void (*add_squares)(const primitive::AdafactorFactors&, const FactoredUpdate&,
                      const FactoredTile&, double* column_sums);
  /// Moves column states [first, first + count) towards the sums over `parts` rows of `sums`.
  void (*move_columns)(const primitive::AdafactorFactors&, const FactoredUpdate&, Index first,
                       Index count, const double* sums, Index parts);
  /// The sum of the tile's squared steps; `total` is the sum of the row states.
  double (*square_steps)(const primitive::AdafactorFactors&, const FactoredUpdate&,
                         const FactoredTile&, double total);
  /// Takes `rate` times the step.
  void (*step)(const primitive::AdafactorFactors&, const FactoredUpdate&, const FactoredTile&,
               double total, double rate);
};

/// The table of the best instruction set that this processor has.
const AdafactorKernels& adafactor_kernels();

namespace v2 {
extern const AdafactorKernels kAdafactorKernels;
}
namespace v3 {
extern const AdafactorKernels kAdafactorKernels;
}
namespace v4 {
extern const AdafactorKernels kAdafactorKernels;
}

}  // namespace reef::ops::cpu
