#pragma once
// Tensors of any dtype from and to plain numbers, and slopes by differences: what the plain kernels
// are held against.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "ops/catalog/catalog.h"
#include "ops/functional/functional.h"
#include "ops/tensor/convert.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::testing {

inline constexpr DType kF64 = DType::kF64;
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

inline Tensor of(DType dtype, const Shape& shape, const std::vector<double>& values) {
  CHECK_EQ(static_cast<std::size_t>(shape.elements()), values.size());
  const Tensor tensor = Tensor::empty(Pool::host(), dtype, shape);
  for (std::size_t i = 0; i < values.size(); ++i) {
    set_element(dtype, tensor.raw(), static_cast<std::ptrdiff_t>(i), values[i]);
  }
  return tensor;
}

/// 0, 1, 2, .. as f32.
inline Tensor counting(const Shape& shape, DType dtype = DType::kF32) {
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return of(dtype, shape, values);
}

/// Uneven numbers within [-1, 1], different for each `seed`.
inline Tensor uneven(DType dtype, const Shape& shape, double seed) {
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(seed + 1.7 * static_cast<double>(i) + std::cos(static_cast<double>(i)));
  }
  return of(dtype, shape, values);
}

/// In row-major order, whatever the strides.
inline std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values;
  std::vector<std::int64_t> place(tensor.shape().rank());
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    std::int64_t rest = i;
    std::int64_t offset = 0;
    for (std::size_t axis = place.size(); axis-- > 0;) {
      offset += rest % tensor.shape()[axis] * tensor.stride(axis);
      rest /= tensor.shape()[axis];
    }
    values.push_back(element_as_double(tensor.dtype(), tensor.raw(), offset));
  }
  return values;
}

/// Equal where both are NaN or infinite, else within `tolerance` of 1 + |expected|.
inline void expect_values(const Tensor& tensor, const std::vector<double>& expected,
                          double tolerance = 1e-6) {
  const std::vector<double> values = values_of(tensor);
  ASSERT_EQ(values.size(), expected.size()) << tensor.shape().text();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << "element " << i << " is " << values[i];
    } else if (std::isinf(expected[i])) {
      EXPECT_EQ(values[i], expected[i]) << "element " << i;
    } else {
      EXPECT_NEAR(values[i], expected[i], tolerance * (1 + std::abs(expected[i])))
          << "element " << i;
    }
  }
}

/// sum(a b): a scalar to differentiate.
inline double inner(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = values_of(a);
  const std::vector<double> y = values_of(b);
  CHECK_EQ(x.size(), y.size());
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

/// Slopes of f() at the elements of x (contiguous f64), by central differences.
inline std::vector<double> slopes(const Tensor& x, const std::function<double()>& f) {
  constexpr double kStep = 1e-5;
  std::vector<double> result;
  for (double& value : x.values<double>()) {
    const double kept = value;
    value = kept + kStep;
    const double above = f();
    value = kept - kStep;
    const double below = f();
    value = kept;
    result.push_back((above - below) / (2 * kStep));
  }
  return result;
}

/// One thread and the plain kernels.
class Reference final : public Context {
 public:
  Device device() const override { return Device::kReference; }
  Pool& pool() override { return pool_; }
  void parallel_for(std::size_t tasks, TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }

 private:
  Pool pool_{host_memory(Device::kReference)};
};

}  // namespace reef::ops::testing
