#include "actors/core/placing.h"

namespace reef::actors {

using ops::Tensor;

void bring_to_device(ops::Context& context, std::span<Token* const> inputs) {
  if (is_host(context.device())) return;
  for (Token* input : inputs) {
    for (Tensor& tensor : input->tensors) tensor = on_device(context, tensor);
  }
}

void bring_to_host(ops::Context& context, Token& output) {
  if (is_host(context.device())) return;
  // A sender takes what was encoded, and nothing else.
  if (output.encoded != nullptr) output.tensors.clear();
  for (Tensor& tensor : output.tensors) {
    if (is_host(tensor.device())) continue;
    CHECK(tensor.is_contiguous()) << "a view cannot leave the device";
    Tensor copy = Tensor::empty(context.staging(), tensor.dtype(), tensor.shape());
    context.start_copy_to_host(copy.raw(), tensor.raw(), tensor.size_bytes());
    tensor = std::move(copy);
  }
}

}  // namespace reef::actors
