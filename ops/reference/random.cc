#include "ops/catalog/draw.h"
#include "ops/reference/kernels.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// Calls body(i, global sample, element within the sample) for every element; axis 0 counts
/// samples.
template <typename Body>
void for_elements(const Shape& shape, const Draw& draw, const Body& body) {
  const std::int64_t samples = shape.rank() > 0 ? shape.front() : 1;
  const std::int64_t size = samples > 0 ? shape.elements() / samples : 0;
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    body(i, draw.first_sample + static_cast<std::uint64_t>(i / size),
         static_cast<std::uint64_t>(i % size));
  }
}

}  // namespace

void dropout(const Call& call) {
  const Draw& draw = call.attributes.draw;
  const Random stream = dropout_stream(draw);
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_elements(call.in[0].shape(), draw, [&](auto i, auto sample, auto element) {
      call.out[0].data<T>()[i] =
          call.in[0].data<T>()[i] * dropout_factor(stream, draw, sample, element);
    });
  });
}

void uniform(const Call& call) {
  const Draw& draw = call.attributes.draw;
  const Random stream = uniform_stream(draw);
  const Tensor& out = call.out[0];
  for_elements(out.shape(), draw, [&](auto i, auto sample, auto element) {
    set(out, i, uniform_element(stream, out.dtype(), sample, element));
  });
}

void normal(const Call& call) {
  const Draw& draw = call.attributes.draw;
  const Random stream = normal_stream(draw);
  with_real(call.out[0].dtype(), [&](auto zero) {
    for_elements(call.out[0].shape(), draw, [&](auto i, auto sample, auto element) {
      call.out[0].data<decltype(zero)>()[i] = normal_element(stream, sample, element);
    });
  });
}

}  // namespace reef::ops::reference
