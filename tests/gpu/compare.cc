#include "tests/gpu/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/thread_pool.h"
#include "ops/tensor/convert.h"
#include "runtime/base/random.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {

namespace {

template <typename Value>
Tensor made(DType dtype, const Shape& shape, const Value& value) {
  const Tensor tensor = Tensor::empty(Pool::host(), dtype, shape);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    set_element(dtype, tensor.raw(), i, value(static_cast<std::uint64_t>(i)));
  }
  return tensor;
}

Tensor filled(const Input& input, DType dtype, std::string_view name) {
  const Random random(7, name);
  const auto below = [&](std::uint64_t bound) {
    return [&random, bound](std::uint64_t i) {
      return static_cast<double>(random.below(bound, 0, i));
    };
  };
  switch (input.fill) {
    case Fill::kNormal:
      return normal_of(input.is_f32 && dtype != DType::kF64 ? DType::kF32 : dtype, input.shape,
                       name);
    case Fill::kPositive:
      return made(dtype, input.shape,
                  [&](std::uint64_t i) { return 0.1 + 2.9 * random.uniform(0, i); });
    case Fill::kIndex:
      return made(DType::kI32, input.shape, below(input.bound));
    case Fill::kLongIndex:
      return made(DType::kI64, input.shape, below(input.bound));
    case Fill::kTarget:
      return made(DType::kI32, input.shape, [&](std::uint64_t i) {
        return static_cast<double>(random.below(input.bound + 1, 0, i)) - 1;
      });
    case Fill::kBool:
      return made(DType::kBool, input.shape, below(2));
  }
  return {};
}

std::vector<Tensor> run_on(Context& context, Op op, const std::vector<Tensor>& in,
                           const Attributes& attributes) {
  std::vector<TensorSpec> specs;
  for (const Tensor& tensor : in) specs.push_back(tensor.spec());
  std::vector<Tensor> out(infer(op, specs, attributes).value().count);
  run(context, op, in, out, attributes);
  return out;
}

}  // namespace

Tensor normal_of(DType dtype, const Shape& shape, std::string_view name) {
  const Random random(7, name);
  const double scale = is_floating(dtype) ? 1 : 8;
  return made(dtype, shape, [&](std::uint64_t i) { return scale * random.normal(0, i); });
}

std::vector<Tensor> inputs_of(const Case& test, DType dtype) {
  std::vector<Tensor> inputs;
  for (const Input& input : test.inputs) {
    inputs.push_back(filled(input, dtype, test.name + std::to_string(inputs.size())));
  }
  return inputs;
}

Tensor strided(const Tensor& tensor, std::size_t axis) {
  if (tensor.shape().rank() < 2 || tensor.elements() == 0) return tensor;
  const Tensor turned = run_plain(Op::kCopy, {tensor.transpose(axis, axis + 1)}, {})[0];
  return turned.transpose(axis, axis + 1);
}

Tensor strided(const Tensor& tensor) {
  return strided(tensor, std::max<std::size_t>(tensor.shape().rank(), 2) - 2);
}

Tensor to_gpu(Context& context, const Tensor& tensor) {
  if (tensor.is_contiguous()) return to_device(context, tensor);
  std::int64_t reach = 1;
  for (std::size_t axis = 0; axis < tensor.shape().rank(); ++axis) {
    reach += (tensor.shape()[axis] - 1) * tensor.stride(axis);
  }
  const Tensor memory = tensor.as_strided({reach}, {1});
  return to_device(context, memory).as_strided(tensor.shape(), tensor.strides());
}

std::vector<Tensor> run_plain(Op op, const std::vector<Tensor>& in, const Attributes& attributes) {
  ThreadPool plain(1, Device::kReference);
  return run_on(plain, op, in, attributes);
}

std::vector<Tensor> run_gpu(Op op, const std::vector<Tensor>& in, const Attributes& attributes) {
  std::vector<Tensor> there;
  for (const Tensor& tensor : in) there.push_back(to_gpu(context(), tensor));
  std::vector<Tensor> out = run_on(context(), op, there, attributes);
  for (Tensor& tensor : out) {
    if (!tensor.is_contiguous()) tensor = run_on(context(), Op::kCopy, {tensor}, {})[0];
    tensor = to_host(context(), tensor);
  }
  return out;
}

double difference_of(const Tensor& a, const Tensor& b) {
  if (a.spec() != b.spec()) return INFINITY;
  double most = 0;
  double scale = 1e-30;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    const double x = element_as_double(a.dtype(), a.raw(), i);
    const double y = element_as_double(b.dtype(), b.raw(), i);
    if (std::isfinite(x) && std::isfinite(y)) {
      most = std::max(most, std::abs(x - y));
      scale = std::max(scale, std::abs(y));
    } else if (x != y && !(std::isnan(x) && std::isnan(y))) {
      return INFINITY;
    }
  }
  return most / scale;
}

double precision_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 1e-5;
    case DType::kBF16:
      return 1.0 / 64;
    case DType::kF16:
      return 1.0 / 512;
    case DType::kF64:
      return 1e-12;
    default:
      return 0;
  }
}

void expect_agreement(const std::string& what, Op op, const std::vector<Tensor>& in,
                      const Attributes& attributes, DType dtype, double slack) {
  const std::string where = what + ", " + std::string(name_of(dtype));
  const std::vector<Tensor> plain = run_plain(op, in, attributes);
  const std::vector<Tensor> gpu = run_gpu(op, in, attributes);
  const std::vector<Tensor> again = run_gpu(op, in, attributes);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const Tensor expected =
        plain[i].is_contiguous() ? plain[i] : run_plain(Op::kCopy, {plain[i]}, {})[0];
    EXPECT_LE(difference_of(gpu[i], expected), precision_of(dtype) * slack)
        << where << ", output " << i;
    EXPECT_EQ(std::memcmp(gpu[i].raw(), again[i].raw(), gpu[i].size_bytes()), 0)
        << where << ", output " << i << " has other bits the second time";
  }
}

}  // namespace reef::ops::gpu
