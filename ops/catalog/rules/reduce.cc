#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

Result<Signature> infer_reduction(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 1 && (is_floating(in[0]->dtype) || is_index(in[0]->dtype)) &&
                    attributes.axes >> in[0]->shape.rank() == 0;
  if (!fits) return misfit(op, in, "takes one numeric tensor, and axes that it has");
  Shape shape = in[0]->shape;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if ((attributes.axes >> axis & 1) == 0) continue;
    if (op == Op::kMax && shape[axis] == 0) return misfit(op, in, "nothing has no maximum");
    shape = shape.with(axis, 1);
  }
  return signature({{shape, in[0]->dtype}});
}

Result<Signature> infer_square_sum(Op op, Specs in, const Attributes&) {
  if (in.size() != 1 || !all_floating(in)) return misfit(op, in, "takes one floating tensor");
  const std::int64_t blocks = (in[0]->shape.elements() + kSquareSumBlock - 1) / kSquareSumBlock;
  return signature({{Shape{blocks}, DType::kF64}});
}

Result<Signature> infer_cum_sum(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 1 && (is_floating(in[0]->dtype) || is_index(in[0]->dtype)) &&
                    attributes.axis < in[0]->shape.rank();
  if (!fits) return misfit(op, in, "takes one numeric tensor, and an axis that it has");
  return signature({*in[0]});
}

constexpr Rule kRules[] = {
    {Op::kSum, "sum", infer_reduction, per_input<1>},
    {Op::kMax, "max", infer_reduction, per_input<1>},
    {Op::kSquareSum, "square_sum", infer_square_sum, per_input<2>},
    {Op::kCumSum, "cum_sum", infer_cum_sum, per_input<1>},
};

}  // namespace

std::span<const Rule> reduce_rules() { return kRules; }

}  // namespace reef::ops
