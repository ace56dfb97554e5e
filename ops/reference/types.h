#pragma once
// From the dtype of a tensor to the C++ type that a plain kernel is instantiated for.

#include <cstdint>
#include <type_traits>

#include "ops/tensor/convert.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/check.h"

namespace reef::ops::reference {

/// What sums of T are made in.
template <typename T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

/// Calls body(T()) with the type behind a dtype that the kernel is registered for: f32 or f64.
template <typename Body>
void with_real(DType dtype, const Body& body) {
  CHECK(dtype == DType::kF32 || dtype == DType::kF64) << name_of(dtype);
  dtype == DType::kF64 ? body(double()) : body(float());
}

/// The same for i32 or i64.
template <typename Body>
void with_index(DType dtype, const Body& body) {
  CHECK(is_index(dtype)) << name_of(dtype);
  dtype == DType::kI64 ? body(std::int64_t()) : body(std::int32_t());
}

/// The same for all four.
template <typename Body>
void with_number(DType dtype, const Body& body) {
  is_index(dtype) ? with_index(dtype, body) : with_real(dtype, body);
}

/// Elements of tensors whose dtype is not the kernel's key, so that any must be served. `offset`
/// counts elements from the first.
inline double get(const Tensor& tensor, std::int64_t offset) {
  return element_as_double(tensor.dtype(), tensor.raw(), offset);
}
inline void set(const Tensor& tensor, std::int64_t offset, double value) {
  set_element(tensor.dtype(), tensor.raw(), offset, value);
}

/// The address of an element.
inline std::byte* address(const Tensor& tensor, std::int64_t offset) {
  return tensor.raw() + offset * static_cast<std::int64_t>(size_of(tensor.dtype()));
}

}  // namespace reef::ops::reference
