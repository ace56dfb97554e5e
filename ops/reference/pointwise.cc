#include "ops/reference/pointwise.h"

#include <cstring>

#include "ops/reference/kernels.h"

namespace reef::ops::reference {

void gelu_and_grad(const Call& call) {
  const Tensor& x = call.in[0];
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::size_t rank = x.shape().rank();
    const auto at = [&](const Tensor& tensor, const Place& place) -> T& {
      return tensor.data<T>()[offset_of(tensor, place, rank)];
    };
    for_places(x.shape(), [&](const Place& place) {
      const T value = at(x, place);
      at(call.out[0], place) = static_cast<T>(gelu(static_cast<double>(value)));
      at(call.out[1], place) =
          static_cast<T>(gelu_slope(static_cast<double>(value))) * at(call.in[1], place);
    });
  });
}

void swiglu_grad(const Call& call) {
  const Tensor& gate = call.in[0];
  with_real(gate.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::size_t rank = gate.shape().rank();
    const auto at = [&](const Tensor& tensor, const Place& place) -> T& {
      return tensor.data<T>()[offset_of(tensor, place, rank)];
    };
    for_places(gate.shape(), [&](const Place& place) {
      const double g = at(gate, place);
      const double up = at(call.in[1], place);
      const double grad = at(call.in[2], place);
      at(call.out[0], place) = static_cast<T>(grad * up * silu_slope(g));
      at(call.out[1], place) = static_cast<T>(grad * silu(g));
    });
  });
}

// The key is the condition's bool, so the values may be of any dtype: their bytes are moved.
void where(const Call& call) {
  const Tensor& condition = call.in[0];
  const Tensor& out = call.out[0];
  const std::size_t rank = out.shape().rank();
  for_places(out.shape(), [&](const Place& place) {
    const bool first = condition.data<bool>()[offset_of(condition, place, rank)];
    const Tensor& from = first ? call.in[1] : call.in[2];
    std::memcpy(address(out, offset_of(out, place, rank)),
                address(from, offset_of(from, place, rank)), size_of(out.dtype()));
  });
}

}  // namespace reef::ops::reference
