#include "ops/catalog/rules.h"

#include <array>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

using Rules = std::array<const Rule*, kOpCount>;

Rules gather() {
  Rules rules{};
  for (const auto& family :
       {dense_rules(), attention_rules(), row_rules(), index_rules(), pointwise_rules(),
        reduce_rules(), move_rules(), random_rules(), vision_rules(), update_rules()}) {
    for (const Rule& rule : family) {
      const Rule*& place = rules[static_cast<std::size_t>(rule.op)];
      CHECK(place == nullptr) << rule.name << " has two rules";
      place = &rule;
    }
  }
  for (std::size_t i = 0; i < kOpCount; ++i) CHECK(rules[i] != nullptr) << "op " << i;
  return rules;
}

const Rule& rule_of(Op op) {
  static const Rules rules = gather();
  return *rules[static_cast<std::size_t>(op)];
}

/// Pointers to specs that stand one after another.
struct Pointers {
  std::array<const TensorSpec*, kMaxUpdateTensors> to{};
  std::size_t count;
  explicit Pointers(std::span<const TensorSpec> specs) : count(specs.size()) {
    CHECK_LE(count, to.size());
    for (std::size_t i = 0; i < count; ++i) to[i] = &specs[i];
  }
  Specs specs() const { return {to.data(), count}; }
};

double bytes_of(const TensorSpec& spec) {
  return static_cast<double>(spec.shape.elements()) * static_cast<double>(size_of(spec.dtype));
}

/// Updates read and write f32 masters and states beside the gradients.
double update_bytes(Op op, Specs in) {
  const double passes = op == Op::kAdamW ? 6 : op == Op::kAdafactor ? 2 : 4;
  double bytes = 0;
  for (const TensorSpec* spec : in) {
    bytes += bytes_of(*spec) + 4 * passes * static_cast<double>(spec->shape.elements());
  }
  return bytes;
}

}  // namespace

std::string_view name_of(Op op) { return rule_of(op).name; }

Result<Op> op_named(std::string_view name) {
  for (std::size_t i = 0; i < kOpCount; ++i) {
    if (name_of(static_cast<Op>(i)) == name) return static_cast<Op>(i);
  }
  return Error{Code::kTensor, "catalog", "no op is called " + std::string(name)};
}

Result<Signature> infer(Op op, Specs in, const Attributes& attributes) {
  return rule_of(op).infer(op, in, attributes);
}

Result<Signature> infer(Op op, std::span<const TensorSpec> in, const Attributes& attributes) {
  return infer(op, Pointers(in).specs(), attributes);
}

Cost cost_of(Op op, std::span<const TensorSpec> in, const Attributes& attributes) {
  const Pointers pointers(in);
  const Signature out = infer(op, pointers.specs(), attributes).value();
  Cost cost;
  cost.flops = rule_of(op).flops(op, pointers.specs(), out, attributes);
  if (is_update(op)) {
    cost.bytes = update_bytes(op, pointers.specs());
    return cost;
  }
  for (const TensorSpec& spec : in) cost.bytes += bytes_of(spec);
  for (std::size_t i = 0; i < out.count; ++i) cost.bytes += bytes_of(out.outputs[i]);
  return cost;
}

}  // namespace reef::ops
