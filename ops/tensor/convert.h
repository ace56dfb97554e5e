#pragma once
// Conversion of elements between any two dtypes, one at a time: the meaning of a cast, for whoever
// has no faster way.

#include <cstddef>

#include "ops/tensor/dtype.h"

namespace reef::ops {

/// to[i * to_step] = from[i * from_step] for i in [0, count); steps in elements. Floating to
/// floating rounds to nearest even and NaN stays NaN; to an integer truncates towards zero; to bool
/// is != 0.
void convert(DType from_dtype, const std::byte* from, std::ptrdiff_t from_step, DType to_dtype,
             std::byte* to, std::ptrdiff_t to_step, std::ptrdiff_t count);

/// Element `i` as a double, and back.
double element_as_double(DType dtype, const std::byte* data, std::ptrdiff_t i);
void set_element(DType dtype, std::byte* data, std::ptrdiff_t i, double value);

}  // namespace reef::ops
