#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

Result<Signature> infer_dropout(Op op, Specs in, const Attributes& attributes) {
  const float p = attributes.draw.probability;
  const bool fits =
      in.size() == 1 && all_floating(in) && in[0]->shape.rank() >= 1 && p >= 0 && p < 1;
  if (!fits) return misfit(op, in, "takes one floating tensor of samples and 0 <= probability < 1");
  return signature({*in[0]});
}

Result<Signature> infer_random(Op op, Specs in, const Attributes& attributes) {
  if (!in.empty() || !is_floating(attributes.to)) {
    return misfit(op, in, "takes no tensor, and makes a floating one");
  }
  return signature({{attributes.shape, attributes.to}});
}

constexpr Rule kRules[] = {
    {Op::kDropout, "dropout", infer_dropout, per_element<40>},
    {Op::kUniform, "uniform", infer_random, per_element<40>},
    {Op::kNormal, "normal", infer_random, per_element<100>},
};

}  // namespace

std::span<const Rule> random_rules() { return kRules; }

}  // namespace reef::ops
