#pragma once
// Holds the CPU's kernels against the plain ones, in tensors of any dtype.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "ops/tensor/convert.h"
#include "tests/unit/ops/support.h"

namespace reef::ops::testing {

using Compute = std::function<std::vector<Tensor>(Context&)>;

inline double precision_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 4e-6;
    case DType::kBF16:
      return 1.0 / 128;
    case DType::kF16:
      return 1.0 / 1024;
    case DType::kF64:
      return 1e-13;
    default:
      return 0;
  }
}

/// The greatest difference, relative to the greatest value.
inline double difference_of(const Tensor& a, const Tensor& b) {
  CHECK(a.spec() == b.spec()) << a.shape().text() << b.shape().text();
  double most = 0;
  double scale = 1e-30;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = element_as_double(a.dtype(), a.raw(), i);
    const double y = element_as_double(b.dtype(), b.raw(), i);
    if (std::isnan(x) != std::isnan(y)) return INFINITY;
    most = std::max(most, std::abs(x - y));
    scale = std::max(scale, std::abs(y));
  }
  return most / scale;
}

/// Within the precision of each output's dtype, or `tolerance` if that is more; with the same bits
/// on one and three threads.
inline void expect_agreement(const Compute& compute, const std::string& what,
                             double tolerance = 0) {
  Contexts contexts;
  const std::vector<Tensor> expected = compute(contexts.reference);
  const std::vector<Tensor> one = compute(contexts.one);
  const std::vector<Tensor> three = compute(contexts.three);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LE(difference_of(one[i], expected[i]),
              std::max(precision_of(expected[i].dtype()), tolerance))
        << what << ", " << name_of(expected[i].dtype()) << ", output " << i;
    EXPECT_TRUE(same_bits(one[i], three[i])) << what << ", output " << i;
  }
}

/// `scale` times normal numbers; of an integer type, eight times them, truncated.
inline Tensor values(DType dtype, const Shape& shape, std::string_view name, float scale = 1) {
  const Tensor drawn = normal(shape, name, is_floating(dtype) ? scale : 8 * scale);
  Tensor tensor = Tensor::empty(Pool::host(), dtype, shape);
  convert(DType::kF32, drawn.raw(), 1, dtype, tensor.raw(), 1, drawn.elements());
  return tensor;
}

}  // namespace reef::ops::testing
