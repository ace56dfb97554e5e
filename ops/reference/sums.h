#pragma once
// Sums in double of what will be a tensor, rounded to its dtype once.

#include <vector>

#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

class Sums {
 public:
  explicit Sums(const Shape& shape)
      : steps_(row_major_strides(shape)), sums_(static_cast<std::size_t>(shape.elements()), 0.0) {}

  /// Adds to an element, counted row major.
  void add(std::int64_t element, double value) {
    sums_[static_cast<std::size_t>(element)] += value;
  }
  void add(const Place& place, double value) { add(element_at(place), value); }

  /// Writes a tensor of this shape, any dtype and strides.
  void store(const Tensor& out) const {
    for_places(out.shape(), [&](const Place& place) {
      set(out, offset_of(out, place, out.shape().rank()),
          sums_[static_cast<std::size_t>(element_at(place))]);
    });
  }

 private:
  std::int64_t element_at(const Place& place) const {
    std::int64_t element = 0;
    for (std::size_t axis = 0; axis < Shape::kMaxRank; ++axis)
      element += place[axis] * steps_[axis];
    return element;
  }

  Strides steps_;
  std::vector<double> sums_;
};

}  // namespace reef::ops::reference
