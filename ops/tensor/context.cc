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

void for_each_on_host(Context& context, std::size_t tasks, TaskRef task) {
  if (is_host(context.device())) return context.parallel_for(tasks, task);
  for (std::size_t i = 0; i < tasks; ++i) task(i);
}

Tensor on_host(Context& context, const Tensor& tensor) {
  return is_host(tensor.device()) ? tensor : to_host(context, tensor);
}

Tensor on_device(Context& context, const Tensor& tensor) {
  const bool there = is_host(context.device()) || tensor.device() == context.device();
  return there ? tensor : to_device(context, tensor);
}

Tensor copy_of(Context& context, const Tensor& tensor) {
  CHECK(tensor.is_contiguous());
  Tensor copy = Tensor::empty(context.pool(), tensor.dtype(), tensor.shape());
  context.copy_within(copy.raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

}  // namespace reef::ops
