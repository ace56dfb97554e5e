#include "ops/tensor/tensor.h"

#include <cstring>
#include <utility>

namespace reef::ops {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
      return 2;
    case DType::kU8:
      return 1;
  }
  return 1;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kI32:
      return "i32";
    case DType::kU8:
      return "u8";
  }
  return "unknown";
}

std::string_view name_of(Device device) {
  switch (device) {
    case Device::kCpu:
      return "cpu";
    case Device::kReference:
      return "reference";
    case Device::kCuda:
      return "cuda";
  }
  return "unknown";
}

Tensor Tensor::empty(Pool& pool, DType dtype, const Shape& shape) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.storage_ = pool.allocate(tensor.size_bytes());
  tensor.data_ = tensor.storage_.get();
  return tensor;
}

Tensor Tensor::zeros(Pool& pool, DType dtype, const Shape& shape) {
  Tensor tensor = empty(pool, dtype, shape);
  std::memset(tensor.data_, 0, tensor.size_bytes());
  return tensor;
}

Tensor Tensor::wrap(std::shared_ptr<std::byte> owner, std::byte* data, DType dtype,
                    const Shape& shape) {
  CHECK(data != nullptr);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(data) % size_of(dtype), 0u);
  Tensor tensor;
  tensor.storage_ = std::move(owner);
  tensor.data_ = data;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::reshape(const Shape& shape) const {
  CHECK_EQ(shape.elements(), elements());
  Tensor tensor = *this;
  tensor.shape_ = shape;
  return tensor;
}

Tensor Tensor::slice(std::int64_t first, std::int64_t count) const {
  CHECK(shape_.rank() > 0);
  CHECK(first >= 0 && count >= 0 && first <= shape_.front() - count)
      << first << " + " << count << " of " << shape_.text();
  std::vector<std::int64_t> extents(shape_.extents().begin(), shape_.extents().end());
  const std::int64_t row = shape_.front() > 0 ? elements() / shape_.front() : 0;
  extents[0] = count;
  Tensor tensor = *this;
  tensor.shape_ = Shape(extents);
  tensor.data_ = data_ + static_cast<std::size_t>(first * row) * size_of(dtype_);
  return tensor;
}

Tensor Tensor::clone(Pool& pool) const {
  Tensor tensor = empty(pool, dtype_, shape_);
  if (size_bytes() > 0) std::memcpy(tensor.data_, data_, size_bytes());
  return tensor;
}

}  // namespace reef::ops
