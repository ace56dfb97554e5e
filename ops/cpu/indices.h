#pragma once
// Index tensors of either type, checked as they are read.

#include "ops/tensor/tensor.h"

namespace reef::ops::cpu {

/// Copy it into a function that writes bytes in a loop: these might be its own, as far as the
/// compiler knows.
class Indices {
 public:
  /// Contiguous i32 or i64, each within [0, extent).
  Indices(const Tensor& tensor, std::int64_t extent)
      : data_(tensor.raw()), wide_(tensor.dtype() == DType::kI64), extent_(extent) {
    CHECK(is_index(tensor.dtype())) << name_of(tensor.dtype());
  }

  /// Element `i`; out of range, it ends the process.
  std::int64_t operator[](std::int64_t i) const {
    const std::int64_t value = wide_ ? reinterpret_cast<const std::int64_t*>(data_)[i]
                                     : reinterpret_cast<const std::int32_t*>(data_)[i];
    if (static_cast<std::uint64_t>(value) >= static_cast<std::uint64_t>(extent_))
      fail(value, extent_);
    return value;
  }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] static void fail(std::int64_t value, std::int64_t extent) {
    CHECK(false) << "index " << value << " of " << extent;
    __builtin_unreachable();
  }

  const std::byte* data_;
  bool wide_;
  std::int64_t extent_;
};

}  // namespace reef::ops::cpu
