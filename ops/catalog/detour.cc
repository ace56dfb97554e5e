#include "ops/catalog/detour.h"

#include <array>
#include <mutex>
#include <vector>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

/// The host as a device, for what a plug-in has no kernel for: one thread, since it is the
/// exception.
class HostContext final : public Context {
 public:
  Pool& pool() override { return Pool::host(); }
  void parallel_for(std::size_t tasks, TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

Tensor convert(Context& context, Op op, const Tensor& tensor, DType to) {
  Attributes attributes;
  attributes.to = to;
  std::array<Tensor, 1> out;
  run(context, op, std::array{tensor}, out, attributes);
  return out[0];
}

void convert_into(Context& context, Op op, const Tensor& from, const Tensor& to) {
  Attributes attributes;
  attributes.to = to.dtype();
  std::array<Tensor, 1> out{to};
  run(context, op, std::array{from}, out, attributes);
}

/// bf16 and f16 tensors of the key's dtype become f32; outputs are rounded once, at the end.
void through_f32(const Call& call, Op op) {
  const DType narrow = call.in.empty() ? call.attributes.to : call.in[0].dtype();
  Attributes attributes = call.attributes;
  if (attributes.to == narrow) attributes.to = DType::kF32;
  std::vector<Tensor> in(call.in.begin(), call.in.end());
  for (Tensor& tensor : in) {
    if (tensor.dtype() == narrow) tensor = convert(call.context, Op::kCast, tensor, DType::kF32);
  }
  std::vector<Tensor> out(call.out.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (call.out[i].dtype() != narrow) out[i] = call.out[i];
  }
  run(call.context, op, in, out, attributes);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].shares(call.out[i])) {
      convert_into(call.context, Op::kCast, out[i], call.out[i]);
    }
  }
}

void row_major(const Call& call, Op op) {
  std::vector<Tensor> in(call.in.begin(), call.in.end());
  for (Tensor& tensor : in) {
    if (!tensor.is_contiguous()) tensor = convert(call.context, Op::kCopy, tensor, tensor.dtype());
  }
  std::vector<Tensor> out(call.out.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (call.out[i].is_contiguous()) out[i] = call.out[i];
  }
  run(call.context, op, in, out, call.attributes);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!call.out[i].is_contiguous()) convert_into(call.context, Op::kCopy, out[i], call.out[i]);
  }
}

/// Elements from a tensor's first to its last, as they lie.
std::int64_t reach_of(const Tensor& tensor) {
  std::int64_t reach = 1;
  for (std::size_t axis = 0; axis < tensor.shape().rank(); ++axis) {
    reach += (tensor.shape()[axis] - 1) * tensor.stride(axis);
  }
  return reach;
}

/// A device tensor with the memory behind it as it lies.
Tensor fetch(Context& context, const Tensor& tensor) {
  if (tensor.is_contiguous()) return to_host(context, tensor);
  const Tensor flat = Tensor::empty(Pool::host(), tensor.dtype(), {reach_of(tensor)});
  context.copy_to_host(flat.raw(), tensor.raw(), flat.size_bytes());
  return flat.as_strided(tensor.shape(), tensor.strides());
}

/// The elements of `from`, on the host, to where `to` has them on the device. What lies between
/// those of a strided tensor may belong to another one and goes to and fro unchanged.
void send(Context& context, HostContext& host, const Tensor& from, const Tensor& to) {
  if (to.is_contiguous() && from.is_contiguous()) {
    context.copy_to_device(to.raw(), from.bytes().data(), from.size_bytes());
    return;
  }
  const Tensor lying = fetch(context, to);
  convert_into(host, Op::kCopy, from, lying);
  const auto bytes = static_cast<std::size_t>(reach_of(to)) * size_of(to.dtype());
  context.copy_to_device(to.raw(), lying.raw(), bytes);
}

void on_host(const Call& call, Op op) {
  HostContext host;
  std::vector<Tensor> in;
  for (const Tensor& tensor : call.in) in.push_back(fetch(call.context, tensor));
  std::vector<Tensor> out(call.out.size());
  if (is_update(op)) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = fetch(call.context, call.out[i]);
  }
  run(host, op, in, out, call.attributes);
  for (std::size_t i = 0; i < out.size(); ++i) send(call.context, host, out[i], call.out[i]);
}

}  // namespace

void execute(const Route& route, const Call& call, Op op) {
  if (route.via_host) return on_host(call, op);
  if (route.cast) return through_f32(call, op);
  if (route.copy_inputs) return row_major(call, op);
  launch(route, call);
}

}  // namespace reef::ops
