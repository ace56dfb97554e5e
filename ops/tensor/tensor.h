#pragma once
// The value that flows between ops, actors and links: dtype, shape, strides and a shared piece of
// memory.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "ops/tensor/dtype.h"
#include "ops/tensor/pool.h"
#include "ops/tensor/shape.h"
#include "runtime/base/check.h"

namespace reef::ops {

/// What inference needs to know of a tensor: no memory, no place.
struct TensorSpec {
  Shape shape;
  DType dtype = DType::kF32;
  bool operator==(const TensorSpec&) const = default;
};

/// How the elements lie. Kernels are keyed by it.
enum class Layout : std::uint8_t {
  kRowMajor,      ///< contiguous, last axis fastest
  kChannelsLast,  ///< logical (N, C, H, W), lying as (N, H, W, C)
  kStrided,       ///< anything else; as a kernel's key: any layout
};
std::string_view name_of(Layout layout);

/// Steps between neighbours of each axis, in elements; 0 repeats one element.
using Strides = std::array<std::int64_t, Shape::kMaxRank>;
/// Of a contiguous tensor.
Strides row_major_strides(const Shape& shape);

/// A handle: copying it shares the memory, as a CAF message or a tape does. New tensors are
/// contiguous, row major; views may be strided. A `const Tensor` fixes the handle, not the
/// elements; who may write is the plan's matter.
/// Thread: handles are independent; elements are not guarded.
/// Memory: on a device that is not the host, data() is an address there and must not be
/// dereferenced here; values() and bytes() refuse.
class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised elements, on the pool's device.
  static Tensor empty(Pool& pool, DType dtype, const Shape& shape);
  /// Host pools only; ops::fill does it anywhere.
  static Tensor zeros(Pool& pool, DType dtype, const Shape& shape);
  /// A copy of `values`, whose number must be that of `shape`. Host pools only.
  template <typename T>
  static Tensor from(Pool& pool, const Shape& shape, std::span<const T> values);
  /// Host memory of somebody else (a register slot, a mapped file) kept alive by `owner`.
  /// `data` must be aligned for the dtype.
  static Tensor wrap(std::shared_ptr<std::byte> owner, std::byte* data, DType dtype,
                     const Shape& shape);

  bool defined() const { return data_ != nullptr; }
  DType dtype() const { return spec_.dtype; }
  const Shape& shape() const { return spec_.shape; }
  const TensorSpec& spec() const { return spec_; }
  Device device() const { return device_; }
  std::int64_t elements() const { return spec_.shape.elements(); }
  /// Of all elements, each once, whatever the strides.
  std::size_t size_bytes() const {
    return static_cast<std::size_t>(elements()) * size_of(spec_.dtype);
  }
  std::int64_t stride(std::size_t axis) const { return strides_[axis]; }
  const Strides& strides() const { return strides_; }
  bool is_contiguous() const { return layout_ == Layout::kRowMajor; }
  Layout layout() const { return layout_; }

  /// The first element's address; strides apply.
  template <typename T>
  T* data() const {
    CHECK(spec_.dtype == DTypeOf<T>::value) << "tensor is " << name_of(spec_.dtype);
    return reinterpret_cast<T*>(data_);
  }
  std::byte* raw() const { return data_; }
  /// Contiguous host tensors only.
  template <typename T>
  std::span<T> values() const {
    check_plain();
    return {data<T>(), static_cast<std::size_t>(elements())};
  }
  std::span<std::byte> bytes() const {
    check_plain();
    return {data_, size_bytes()};
  }

  // Views: all share memory.

  /// The same elements under another shape of as many elements. Contiguous tensors only.
  Tensor reshape(const Shape& shape) const;
  /// Elements [first, first + count) of an axis.
  Tensor narrow(std::size_t axis, std::int64_t first, std::int64_t count) const;
  /// Rows [first, first + count) of the leading axis.
  Tensor slice(std::int64_t first, std::int64_t count) const { return narrow(0, first, count); }
  /// Element `index` of an axis, which disappears.
  Tensor select(std::size_t axis, std::int64_t index) const;
  /// Axis i of the result is axis order[i] of this one.
  Tensor permute(std::span<const std::size_t> order) const;
  Tensor transpose(std::size_t a, std::size_t b) const;
  /// Repeats axes of extent 1, and adds leading ones, until the shape is `shape`.
  Tensor expand(const Shape& shape) const;
  /// One axis cut in two: extents outer and extent / outer.
  Tensor split_axis(std::size_t axis, std::int64_t outer) const;
  /// A new axis of extent 1 before `axis`.
  Tensor unsqueeze(std::size_t axis) const;

  /// Any view of the memory from this tensor's first element on; the caller answers for its bounds.
  Tensor as_strided(const Shape& shape, const Strides& strides) const;

  /// An independent copy of a contiguous host tensor.
  Tensor clone(Pool& pool) const;
  /// True when no other handle shares the memory, so that it may be written in place.
  bool unique() const { return storage_.use_count() == 1; }
  /// True when both handles begin at the same place in memory.
  bool shares(const Tensor& other) const { return data_ == other.data_; }

 private:
  void check_plain() const {
    CHECK(is_contiguous() && is_host(device_))
        << "a " << name_of(layout_) << " tensor on " << name_of(device_)
        << " has no plain bytes in this process";
  }
  Tensor view(std::byte* data, const Shape& shape, const Strides& strides) const;
  void find_layout();

  std::shared_ptr<std::byte> storage_;
  std::byte* data_ = nullptr;
  TensorSpec spec_;
  Strides strides_{};
  Device device_ = Device::kCpu;
  Layout layout_ = Layout::kRowMajor;
};

template <typename T>
Tensor Tensor::from(Pool& pool, const Shape& shape, std::span<const T> values) {
  CHECK_EQ(static_cast<std::size_t>(shape.elements()), values.size());
  Tensor tensor = empty(pool, DTypeOf<T>::value, shape);
  std::copy(values.begin(), values.end(), tensor.values<T>().begin());
  return tensor;
}

}  // namespace reef::ops
