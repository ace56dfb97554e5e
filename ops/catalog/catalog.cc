#include "ops/catalog/catalog.h"

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

constexpr std::array<std::string_view, kOpCount> kNames = {"matmul",
                                                           "column_sum",
                                                           "embedding",
                                                           "embedding_grad",
                                                           "layer_norm",
                                                           "layer_norm_grad",
                                                           "gelu",
                                                           "gelu_grad",
                                                           "attention",
                                                           "attention_grad",
                                                           "add",
                                                           "cross_entropy",
                                                           "cross_entropy_grad",
                                                           "dropout",
                                                           "cast",
                                                           "square_sum",
                                                           "adamw"};

Kernel exact_kernel(Op op, Device device, DType dtype) {
  for (const Entry& entry : kernel_table()) {
    if (entry.op == op && entry.device == device && entry.dtype == dtype) return entry.kernel;
  }
  return nullptr;
}

constexpr std::size_t kMaxInputs = 6;

}  // namespace

std::string_view name_of(Op op) { return kNames[static_cast<std::size_t>(op)]; }

Result<Op> op_named(std::string_view name) {
  for (std::size_t i = 0; i < kOpCount; ++i) {
    if (kNames[i] == name) return static_cast<Op>(i);
  }
  return Error{Code::kTensor, "catalog", "no op is called " + std::string(name)};
}

Kernel find_kernel(Op op, Device device, DType dtype) {
  if (Kernel kernel = exact_kernel(op, device, dtype)) return kernel;
  return device == Device::kCpu ? exact_kernel(op, Device::kReference, dtype) : nullptr;
}

void run(Context& context, Op op, std::span<const Tensor> in, std::span<Tensor> out,
         const Attributes& attributes) {
  CHECK(!in.empty() && in.size() <= kMaxInputs);
  std::array<Signature::Output, kMaxInputs> described;
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(in[i].defined()) << name_of(op) << ": input " << i << " is undefined";
    described[i] = {in[i].shape(), in[i].dtype()};
  }
  const Signature signature = infer(op, {described.data(), in.size()}, attributes).value();
  CHECK_EQ(signature.count, out.size()) << name_of(op);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto& [shape, dtype] = signature.outputs[i];
    if (!out[i].defined()) {
      out[i] = Tensor::empty(context.pool(), dtype, shape);
    } else {
      CHECK(out[i].dtype() == dtype && out[i].shape() == shape)
          << name_of(op) << ": output " << i << " is " << out[i].shape().text();
    }
  }
  const Kernel kernel = find_kernel(op, context.device(), in[0].dtype());
  CHECK(kernel != nullptr) << "no kernel for " << name_of(op) << " on " << name_of(context.device())
                           << " for " << name_of(in[0].dtype());
  kernel({context, in, out, attributes});
}

}  // namespace reef::ops
