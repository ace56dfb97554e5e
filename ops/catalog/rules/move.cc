#include <algorithm>

#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

Result<Signature> infer_fill(Op op, Specs in, const Attributes& attributes) {
  if (!in.empty()) return misfit(op, in, "takes no tensor");
  return signature({{attributes.shape, attributes.to}});
}

Result<Signature> infer_copy(Op op, Specs in, const Attributes&) {
  if (in.size() != 1) return misfit(op, in, "takes one tensor");
  return signature({*in[0]});
}

Result<Signature> infer_cast(Op op, Specs in, const Attributes& attributes) {
  if (in.size() != 1) return misfit(op, in, "takes one tensor");
  return signature({{in[0]->shape, attributes.to}});
}

Result<Signature> infer_concat(Op op, Specs in, const Attributes& attributes) {
  if (in.empty() || attributes.axis >= in[0]->shape.rank()) {
    return misfit(op, in, "takes tensors, and an axis that they have");
  }
  std::int64_t extent = 0;
  for (const TensorSpec* spec : in) {
    const bool fits = spec->dtype == in[0]->dtype && spec->shape.rank() == in[0]->shape.rank() &&
                      spec->shape.with(attributes.axis, 0) == in[0]->shape.with(attributes.axis, 0);
    if (!fits) return misfit(op, in, "takes tensors alike but for the axis");
    extent += spec->shape[attributes.axis];
  }
  return signature({{in[0]->shape.with(attributes.axis, extent), in[0]->dtype}});
}

Result<Signature> infer_pad(Op op, Specs in, const Attributes& attributes) {
  if (in.size() != 1) return misfit(op, in, "takes one tensor");
  Shape shape = in[0]->shape;
  for (std::size_t axis = 0; axis < Shape::kMaxRank; ++axis) {
    const std::int64_t before = attributes.before[axis];
    const std::int64_t after = attributes.after[axis];
    if (before < 0 || after < 0 || (axis >= shape.rank() && before + after > 0)) {
      return misfit(op, in, "pads axes that are there, by at least nothing");
    }
    if (axis < shape.rank()) shape = shape.with(axis, before + shape[axis] + after);
  }
  return signature({{shape, in[0]->dtype}});
}

constexpr Rule kRules[] = {
    {Op::kFill, "fill", infer_fill, per_element<0>},
    {Op::kCopy, "copy", infer_copy, per_element<0>},
    {Op::kCast, "cast", infer_cast, per_element<1>},
    {Op::kConcat, "concat", infer_concat, per_element<0>},
    {Op::kPad, "pad", infer_pad, per_element<0>},
};

}  // namespace

std::span<const Rule> move_rules() { return kRules; }

}  // namespace reef::ops
