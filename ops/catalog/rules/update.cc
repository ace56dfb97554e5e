#include <algorithm>
#include <string>

#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

/// What an update writes is checked by check_update(), since it is given, not made.
Result<Signature> infer_update(Op op, Specs in, const Attributes&) {
  if (in.empty() || in.size() > kMaxUpdateTensors || !all_floating(in)) {
    return misfit(op, in.first(std::min<std::size_t>(in.size(), 4)),
                  "takes 1 to 256 gradients of one floating dtype");
  }
  return Signature{};
}

template <int operations>
double update_flops(Op, Specs in, const Signature&, const Attributes&) {
  double elements = 0;
  for (const TensorSpec* spec : in) elements += static_cast<double>(spec->shape.elements());
  return operations * elements;
}

constexpr Rule kRules[] = {
    {Op::kAdamW, "adamw", infer_update, update_flops<14>},
    {Op::kSgd, "sgd", infer_update, update_flops<6>},
    {Op::kLion, "lion", infer_update, update_flops<8>},
    {Op::kAdafactor, "adafactor", infer_update, update_flops<16>},
};

std::size_t states_of(Op op) { return op == Op::kAdamW || op == Op::kAdafactor ? 2 : 1; }

/// State tensors are shaped as the parameter, but for Adafactor's factored second moment: of a
/// matrix seen as (rows, columns) it keeps a value for each row and each column; of a vector, all.
Shape state_shape(Op op, std::size_t state, const Shape& parameter) {
  if (op != Op::kAdafactor) return parameter;
  if (parameter.rank() < 2) return state == 0 ? parameter : Shape{0};
  return state == 0 ? Shape{parameter.rows()} : Shape{parameter.back()};
}

}  // namespace

std::span<const Rule> update_rules() { return kRules; }

Status check_update(Op op, std::span<const Tensor> gradients, std::span<const Tensor> out) {
  const std::size_t count = gradients.size();
  const std::size_t states = states_of(op);
  const auto refuse = [op](std::string what) {
    return Error{Code::kTensor, std::string(name_of(op)), std::move(what)};
  };
  if (out.size() != (1 + states) * count && out.size() != (2 + states) * count) {
    return refuse(std::to_string(count) + " gradients and " + std::to_string(out.size()) +
                  " tensors to write");
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t group = i / count;
    const Shape& parameter = gradients[i % count].shape();
    const bool is_state = group >= 1 && group <= states;
    const Shape expected = is_state ? state_shape(op, group - 1, parameter) : parameter;
    const bool right =
        out[i].defined() && out[i].is_contiguous() && out[i].shape() == expected &&
        (group > states || out[i].dtype() == DType::kF32 || out[i].dtype() == DType::kF64);
    if (!right) {
      return refuse("tensor " + std::to_string(i) + " to write should be contiguous " +
                    expected.text() + ", f32 but for the weights to publish");
    }
  }
  return {};
}

}  // namespace reef::ops
