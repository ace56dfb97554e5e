#include <cmath>

#include "ops/reference/kernels.h"
#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

// (lower, upper) turns by the angle position / base^(2i / D), i counting pairs.
void rope(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  const std::int64_t half = x.shape()[3] / 2;
  with_real(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_places(x.shape().with_back(half), [&](const Place& place) {
      const auto position = static_cast<double>(call.attributes.first + place[1]);
      const double exponent = static_cast<double>(place[3]) / static_cast<double>(half);
      const double forward = position / std::pow(call.attributes.scale, exponent);
      const double angle = call.attributes.reverse ? -forward : forward;
      const T* from = x.data<T>() + offset_of(x, place, 4);
      T* to = out.data<T>() + offset_of(out, place, 4);
      const double lower = from[0];
      const double upper = from[half * x.stride(3)];
      to[0] = static_cast<T>(lower * std::cos(angle) - upper * std::sin(angle));
      to[half * out.stride(3)] = static_cast<T>(upper * std::cos(angle) + lower * std::sin(angle));
    });
  });
}

}  // namespace reef::ops::reference
