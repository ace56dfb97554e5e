#include "ops/functional/random.h"

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

Tensor drawn(Context& context, Op op, DType dtype, const Shape& shape, const Draw& draw) {
  Attributes attributes;
  attributes.to = dtype;
  attributes.shape = shape;
  attributes.draw = draw;
  return call_one(context, op, std::array<Tensor, 0>{}, attributes);
}

}  // namespace

Tensor dropout(Context& context, const Tensor& x, const Draw& draw) {
  if (draw.probability <= 0) return x;
  Attributes attributes;
  attributes.draw = draw;
  return call_one(context, Op::kDropout, std::array{x}, attributes);
}

Tensor uniform(Context& context, DType dtype, const Shape& shape, const Draw& draw) {
  return drawn(context, Op::kUniform, dtype, shape, draw);
}

Tensor normal(Context& context, DType dtype, const Shape& shape, const Draw& draw) {
  return drawn(context, Op::kNormal, dtype, shape, draw);
}

}  // namespace reef::ops
