#pragma once
// The extents of a tensor: a small value, checked once, so that no later product can overflow.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::ops {

/// Up to eight extents, outermost first. Copyable, comparable; the empty Shape is a scalar.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;
  /// Elements of one tensor; small enough that bytes fit in a signed 64-bit number.
  static constexpr std::int64_t kMaxElements = std::int64_t{1} << 56;

  /// For extents that came from outside: kTensor for a rank or non-zero product out of bounds.
  static Result<Shape> make(std::span<const std::int64_t> extents);

  Shape() = default;
  /// For extents of our own; anything that `make` would refuse is a bug.
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(const std::vector<std::int64_t>& extents);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t axis) const {
    CHECK_LT(axis, rank_);
    return extents_[axis];
  }
  std::int64_t front() const { return (*this)[0]; }
  std::int64_t back() const { return (*this)[rank_ - 1]; }
  std::int64_t elements() const { return elements_; }
  /// Product of all extents but the last: the rows of the tensor seen as a matrix.
  std::int64_t rows() const;
  /// The same with another extent of `axis`; with one more, before `axis`; with one less.
  Shape with(std::size_t axis, std::int64_t extent) const;
  Shape inserted(std::size_t axis, std::int64_t extent) const;
  Shape without(std::size_t axis) const;
  Shape with_back(std::int64_t extent) const { return with(rank_ - 1, extent); }
  std::span<const std::int64_t> extents() const { return {extents_.data(), rank_}; }
  /// "(2, 128, 192)", for people.
  std::string text() const;

  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  std::size_t rank_ = 0;
  std::int64_t elements_ = 1;
};

}  // namespace reef::ops
