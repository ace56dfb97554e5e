#include "ops/tensor/shape.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace reef::ops {

Result<Shape> Shape::make(std::span<const std::int64_t> extents) {
  const auto refuse = [](std::string what) {
    return Error{Code::kTensor, "shape", std::move(what)};
  };
  if (extents.size() > kMaxRank) {
    return refuse("rank " + std::to_string(extents.size()) + " is over the limit of 8");
  }
  Shape shape;
  shape.rank_ = extents.size();
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    const std::int64_t extent = extents[axis];
    if (extent < 0) return refuse("an extent is negative: " + std::to_string(extent));
    if (extent > kMaxElements) return refuse("too many elements; the limit is 2^56");
    shape.extents_[axis] = extent;
  }
  // An empty tensor is held to the limit, too, without its zeros: its strides are products of the
  // other extents, and a view may leave a zero out.
  std::int64_t product = 1;
  for (const std::int64_t extent : extents) {
    if (extent == 0) shape.elements_ = 0;
    if (extent > kMaxElements / product) return refuse("too many elements; the limit is 2^56");
    product *= std::max<std::int64_t>(extent, 1);
  }
  shape.elements_ *= product;
  return shape;
}

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(make({extents.begin(), extents.size()}).value()) {}

Shape::Shape(const std::vector<std::int64_t>& extents)
    : Shape(make({extents.data(), extents.size()}).value()) {}

std::int64_t Shape::rows() const {
  if (rank_ == 0) return 1;
  std::int64_t rows = 1;
  for (std::size_t axis = 0; axis + 1 < rank_; ++axis) rows *= extents_[axis];
  return rows;
}

Shape Shape::with(std::size_t axis, std::int64_t extent) const {
  CHECK_LT(axis, rank_);
  std::array<std::int64_t, kMaxRank> extents = extents_;
  extents[axis] = extent;
  return make({extents.data(), rank_}).value();
}

Shape Shape::inserted(std::size_t axis, std::int64_t extent) const {
  CHECK(axis <= rank_ && rank_ < kMaxRank) << text() << " at " << axis;
  std::array<std::int64_t, kMaxRank> extents{};
  for (std::size_t i = 0; i <= rank_; ++i) {
    extents[i] = i < axis ? extents_[i] : i == axis ? extent : extents_[i - 1];
  }
  return make({extents.data(), rank_ + 1}).value();
}

Shape Shape::without(std::size_t axis) const {
  CHECK_LT(axis, rank_);
  std::array<std::int64_t, kMaxRank> extents{};
  for (std::size_t i = 0; i + 1 < rank_; ++i) extents[i] = extents_[i < axis ? i : i + 1];
  return make({extents.data(), rank_ - 1}).value();
}

std::string Shape::text() const {
  std::string text = "(";
  for (std::size_t axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(extents_[axis]);
  }
  return text + ")";
}

}  // namespace reef::ops
