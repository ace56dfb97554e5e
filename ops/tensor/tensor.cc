#include "ops/tensor/tensor.h"

#include <cstring>
#include <utility>

namespace reef::ops {

std::string_view name_of(Layout layout) {
  switch (layout) {
    case Layout::kRowMajor:
      return "row-major";
    case Layout::kChannelsLast:
      return "channels-last";
    case Layout::kStrided:
      return "strided";
  }
  return "unknown";
}

Strides row_major_strides(const Shape& shape) {
  Strides strides{};
  std::int64_t step = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

namespace {

/// True when walking the axes in `order`, innermost last, meets the elements one after another.
bool lies_in_order(const Shape& shape, const Strides& strides, std::span<const std::size_t> order) {
  std::int64_t step = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t axis = order[i];
    if (shape[axis] != 1 && strides[axis] != step) return false;
    step *= shape[axis];
  }
  return true;
}

constexpr std::array<std::size_t, Shape::kMaxRank> kInOrder = {0, 1, 2, 3, 4, 5, 6, 7};
constexpr std::array<std::size_t, 4> kChannelsLastOrder = {0, 2, 3, 1};

}  // namespace

void Tensor::find_layout() {
  const Shape& shape = spec_.shape;
  if (shape.elements() == 0 || lies_in_order(shape, strides_, {kInOrder.data(), shape.rank()})) {
    layout_ = Layout::kRowMajor;
  } else if (shape.rank() == 4 && lies_in_order(shape, strides_, kChannelsLastOrder)) {
    layout_ = Layout::kChannelsLast;
  } else {
    layout_ = Layout::kStrided;
  }
}

Tensor Tensor::view(std::byte* data, const Shape& shape, const Strides& strides) const {
  Tensor tensor;
  tensor.storage_ = storage_;
  tensor.data_ = data;
  tensor.spec_ = {shape, spec_.dtype};
  tensor.strides_ = strides;
  tensor.device_ = device_;
  tensor.find_layout();
  return tensor;
}

Tensor Tensor::empty(Pool& pool, DType dtype, const Shape& shape) {
  Tensor tensor;
  tensor.spec_ = {shape, dtype};
  tensor.strides_ = row_major_strides(shape);
  tensor.device_ = pool.device();
  tensor.storage_ = pool.allocate(tensor.size_bytes());
  tensor.data_ = tensor.storage_.get();
  return tensor;
}

Tensor Tensor::zeros(Pool& pool, DType dtype, const Shape& shape) {
  Tensor tensor = empty(pool, dtype, shape);
  const std::span<std::byte> bytes = tensor.bytes();
  std::memset(bytes.data(), 0, bytes.size());
  return tensor;
}

Tensor Tensor::wrap(std::shared_ptr<std::byte> owner, std::byte* data, DType dtype,
                    const Shape& shape) {
  CHECK(data != nullptr);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(data) % size_of(dtype), 0u);
  Tensor tensor;
  tensor.storage_ = std::move(owner);
  tensor.data_ = data;
  tensor.spec_ = {shape, dtype};
  tensor.strides_ = row_major_strides(shape);
  return tensor;
}

Tensor Tensor::reshape(const Shape& shape) const {
  CHECK_EQ(shape.elements(), elements());
  CHECK(is_contiguous()) << "reshape of a " << name_of(layout_) << " tensor";
  Tensor tensor = *this;
  tensor.spec_.shape = shape;
  tensor.strides_ = row_major_strides(shape);
  return tensor;
}

Tensor Tensor::narrow(std::size_t axis, std::int64_t first, std::int64_t count) const {
  CHECK_LT(axis, shape().rank());
  CHECK(first >= 0 && count >= 0 && first <= shape()[axis] - count)
      << first << " + " << count << " of axis " << axis << " of " << shape().text();
  const std::int64_t skipped = first * strides_[axis] * static_cast<std::int64_t>(size_of(dtype()));
  return view(data_ + skipped, shape().with(axis, count), strides_);
}

Tensor Tensor::select(std::size_t axis, std::int64_t index) const {
  const Tensor one = narrow(axis, index, 1);
  Strides strides{};
  for (std::size_t i = 0, to = 0; i < shape().rank(); ++i) {
    if (i != axis) strides[to++] = strides_[i];
  }
  return view(one.data_, shape().without(axis), strides);
}

Tensor Tensor::permute(std::span<const std::size_t> order) const {
  CHECK_EQ(order.size(), shape().rank());
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  std::array<bool, Shape::kMaxRank> seen{};
  Strides strides{};
  for (std::size_t i = 0; i < order.size(); ++i) {
    CHECK(order[i] < order.size() && !seen[order[i]]) << "not a permutation";
    seen[order[i]] = true;
    extents[i] = shape()[order[i]];
    strides[i] = strides_[order[i]];
  }
  return view(data_, Shape::make({extents.data(), order.size()}).value(), strides);
}

Tensor Tensor::transpose(std::size_t a, std::size_t b) const {
  CHECK(a < shape().rank() && b < shape().rank());
  std::array<std::size_t, Shape::kMaxRank> order = kInOrder;
  std::swap(order[a], order[b]);
  return permute({order.data(), shape().rank()});
}

Tensor Tensor::expand(const Shape& to) const {
  CHECK_LE(shape().rank(), to.rank());
  const std::size_t added = to.rank() - shape().rank();
  Strides strides{};
  for (std::size_t axis = added; axis < to.rank(); ++axis) {
    const std::int64_t extent = shape()[axis - added];
    CHECK(extent == to[axis] || extent == 1) << shape().text() << " to " << to.text();
    strides[axis] = extent == to[axis] ? strides_[axis - added] : 0;
  }
  return view(data_, to, strides);
}

Tensor Tensor::split_axis(std::size_t axis, std::int64_t outer) const {
  CHECK_LT(axis, shape().rank());
  CHECK(outer > 0 && shape()[axis] % outer == 0) << shape().text() << " by " << outer;
  const std::int64_t inner = shape()[axis] / outer;
  Strides strides{};
  for (std::size_t i = 0; i <= shape().rank(); ++i) {
    strides[i] = i < axis ? strides_[i] : i == axis ? strides_[i] * inner : strides_[i - 1];
  }
  return view(data_, shape().with(axis, outer).inserted(axis + 1, inner), strides);
}

Tensor Tensor::unsqueeze(std::size_t axis) const {
  CHECK_LE(axis, shape().rank());
  Strides strides{};
  for (std::size_t i = 0; i <= shape().rank(); ++i) {
    strides[i] = i < axis ? strides_[i] : i == axis ? 1 : strides_[i - 1];
  }
  return view(data_, shape().inserted(axis, 1), strides);
}

Tensor Tensor::as_strided(const Shape& shape, const Strides& strides) const {
  return view(data_, shape, strides);
}

Tensor Tensor::clone(Pool& pool) const {
  Tensor tensor = empty(pool, dtype(), shape());
  const std::span<std::byte> from = bytes();
  if (!from.empty()) std::memcpy(tensor.bytes().data(), from.data(), from.size());
  return tensor;
}

}  // namespace reef::ops
