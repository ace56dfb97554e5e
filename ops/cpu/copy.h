#pragma once
// Moves elements of any type without looking at them.

#include "ops/tensor/context.h"

namespace reef::ops::cpu {

/// Calls body(std::integral_constant of the bytes) for an element of 1, 2, 4 or 8 bytes.
template <typename Body>
void with_element_bytes(DType dtype, const Body& body) {
  switch (size_of(dtype)) {
    case 1:
      return body(std::integral_constant<std::size_t, 1>{});
    case 2:
      return body(std::integral_constant<std::size_t, 2>{});
    case 4:
      return body(std::integral_constant<std::size_t, 4>{});
    default:
      return body(std::integral_constant<std::size_t, 8>{});
  }
}

/// `from`, broadcast to the shape of `to` and of its dtype, to where `to` lies; any strides. What
/// lies in runs in both is copied as bytes.
void copy_elements(Context& context, const Tensor& from, const Tensor& to);

}  // namespace reef::ops::cpu
