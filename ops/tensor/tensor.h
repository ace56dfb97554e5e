#pragma once
// The value that flows between ops, actors and links: dtype, shape and a shared piece of memory.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ops/tensor/pool.h"
#include "ops/tensor/shape.h"
#include "runtime/base/check.h"

namespace reef::ops {

enum class DType : std::uint8_t { kF32 = 0, kBF16, kI32, kU8 };
/// Where memory lives and which kernels may touch it. kReference is host memory served by the plain
/// kernels that the tests trust.
enum class Device : std::uint8_t { kCpu = 0, kReference, kCuda };

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);
std::string_view name_of(Device device);

/// Brain float: the upper half of an fp32.
struct BF16 {
  std::uint16_t bits;
  bool operator==(const BF16&) const = default;
};

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BF16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kU8;
};

/// A handle: copying it shares the memory, as a CAF message or a tape does. Always contiguous, row
/// major. A `const Tensor` fixes the handle, not the elements; who may write is the plan's matter.
/// Thread: handles are independent; elements are not guarded.
class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised elements.
  static Tensor empty(Pool& pool, DType dtype, const Shape& shape);
  static Tensor zeros(Pool& pool, DType dtype, const Shape& shape);
  /// A copy of `values`, whose number must be that of `shape`.
  template <typename T>
  static Tensor from(Pool& pool, const Shape& shape, std::span<const T> values);
  /// Memory of somebody else (a register slot, a mapped file) kept alive by `owner`.
  /// `data` must be aligned for the dtype.
  static Tensor wrap(std::shared_ptr<std::byte> owner, std::byte* data, DType dtype,
                     const Shape& shape);

  bool defined() const { return data_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return shape_.elements(); }
  std::size_t size_bytes() const {
    return static_cast<std::size_t>(shape_.elements()) * size_of(dtype_);
  }

  template <typename T>
  T* data() const {
    CHECK(dtype_ == DTypeOf<T>::value) << "tensor is " << name_of(dtype_);
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  std::span<T> values() const {
    return {data<T>(), static_cast<std::size_t>(elements())};
  }
  std::span<std::byte> bytes() const { return {data_, size_bytes()}; }

  /// The same elements under another shape of as many elements; shares memory.
  Tensor reshape(const Shape& shape) const;
  /// Rows [first, first + count) of the leading axis; shares memory.
  Tensor slice(std::int64_t first, std::int64_t count) const;
  /// An independent copy.
  Tensor clone(Pool& pool) const;
  /// True when no other handle shares the memory, so that it may be written in place.
  bool unique() const { return storage_.use_count() == 1; }
  /// True when both handles show the same elements in memory.
  bool shares(const Tensor& other) const { return data_ == other.data_; }

 private:
  std::shared_ptr<std::byte> storage_;
  std::byte* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::kF32;
};

template <typename T>
Tensor Tensor::from(Pool& pool, const Shape& shape, std::span<const T> values) {
  CHECK_EQ(static_cast<std::size_t>(shape.elements()), values.size());
  Tensor tensor = empty(pool, DTypeOf<T>::value, shape);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

}  // namespace reef::ops
