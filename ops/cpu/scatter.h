#pragma once
// Sums at places that an index names. Every sum is made by one task, which meets its addends in the
// order of the index, so that its bits are the same on any threads.

#include <type_traits>

#include "ops/cpu/indices.h"
#include "ops/cpu/layout.h"
#include "ops/tensor/context.h"

namespace reef::ops::cpu {

/// What elements of T are added in: the dtype of the gradient of a table.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Calls body with a value of the C++ type of a floating dtype.
template <typename Body>
void with_floating(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kF32:
      return body(float{});
    case DType::kBF16:
      return body(BF16{});
    case DType::kF16:
      return body(F16{});
    case DType::kF64:
      return body(double{});
    default:
      CHECK(false) << name_of(dtype) << " is not floating";
  }
}

/// sum[i] += row[i].
template <typename T>
void add_to(std::int64_t n, const T* row, Sum<T>* sum);

/// sums (outer, rows, inner) become the sums of the rows of source (outer, n, inner) at
/// indices (n).
template <typename T>
void sum_rows_at(Context& context, const Indices& indices, const AxisView& source, const T* values,
                 std::int64_t rows, Sum<T>* sums);

/// The same with an index of its own for every element: indices (outer, n, inner).
template <typename T>
void sum_elements_at(Context& context, const Indices& indices, const AxisView& source,
                     const T* values, std::int64_t rows, Sum<T>* sums);

}  // namespace reef::ops::cpu
