#include "ops/tensor/context.h"

namespace reef::ops {

Tensor to_device(Context& context, const Tensor& tensor) {
  CHECK(is_host(tensor.device())) << "on " << name_of(tensor.device());
  Tensor copy = Tensor::empty(context.pool(), tensor.dtype(), tensor.shape());
  context.copy_to_device(copy.raw(), tensor.bytes().data(), tensor.size_bytes());
  return copy;
}

Tensor to_host(Context& context, const Tensor& tensor, Pool& pool) {
  CHECK(is_host(pool.device()) && tensor.is_contiguous());
  Tensor copy = Tensor::empty(pool, tensor.dtype(), tensor.shape());
  context.copy_to_host(copy.raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

}  // namespace reef::ops
