#pragma once
// Helpers of the ops tests: deterministic tensors, comparison, contexts.

#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/random.h"

namespace reef::ops::testing {

inline Tensor normal(const Shape& shape, std::string_view name, float scale = 1) {
  const Random random(7, name);
  Tensor tensor = Tensor::empty(Pool::host(), DType::kF32, shape);
  std::uint64_t i = 0;
  for (float& value : tensor.values<float>()) value = scale * random.normal(0, i++);
  return tensor;
}

inline Tensor integers(const Shape& shape, std::string_view name, std::uint64_t bound) {
  const Random random(7, name);
  Tensor tensor = Tensor::empty(Pool::host(), DType::kI32, shape);
  std::uint64_t i = 0;
  for (std::int32_t& value : tensor.values<std::int32_t>()) {
    value = static_cast<std::int32_t>(random.below(bound, 0, i++));
  }
  return tensor;
}

/// max |a - b| / max |b|.
inline double difference(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape()) << a.shape().text() << b.shape().text();
  double most = 0;
  double scale = 1e-30;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = a.data<float>()[i];
    const double y = b.data<float>()[i];
    if (std::isnan(x) != std::isnan(y)) return INFINITY;
    most = std::max(most, std::abs(x - y));
    scale = std::max(scale, std::abs(y));
  }
  return most / scale;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.size_bytes()) == 0;
}

/// The fast kernels on one thread, on three, and the plain ones.
struct Contexts {
  ThreadPool one{1};
  ThreadPool three{3};
  ThreadPool reference{1, Device::kReference};
};

}  // namespace reef::ops::testing
