#pragma once
// What is known of an op apart from its kernels: its name, what comes out and what it costs. One
// table for each family of ops in rules/.

#include <initializer_list>
#include <span>
#include <string_view>

#include "ops/catalog/catalog.h"

namespace reef::ops {

struct Rule {
  Op op;
  std::string_view name;
  Result<Signature> (*infer)(Op op, Specs in, const Attributes& attributes);
  /// FLOPs; called with what `infer` returned. Bytes follow from the shapes.
  double (*flops)(Op op, Specs in, const Signature& out, const Attributes& attributes);
};

std::span<const Rule> dense_rules();
std::span<const Rule> attention_rules();
std::span<const Rule> row_rules();
std::span<const Rule> index_rules();
std::span<const Rule> pointwise_rules();
std::span<const Rule> reduce_rules();
std::span<const Rule> move_rules();
std::span<const Rule> random_rules();
std::span<const Rule> vision_rules();
std::span<const Rule> update_rules();

/// kTensor when `out` is not what the update of these gradients writes.
Status check_update(Op op, std::span<const Tensor> gradients, std::span<const Tensor> out);

// For the rules themselves.

/// Already as the Result that rules return, because a Signature is 300 bytes to copy.
Result<Signature> signature(std::initializer_list<TensorSpec> outputs);
/// kTensor: the rule, and what was given.
Error misfit(Op op, Specs in, std::string_view rule);
/// All inputs floating and of one dtype; at least one.
bool all_floating(Specs in);
/// The shape that two broadcast to (axes aligned at the end, extents equal or 1).
Result<Shape> broadcast(Op op, Specs in, const Shape& a, const Shape& b);
/// `operations` for each element of the first output.
template <int operations>
double per_element(Op, Specs, const Signature& out, const Attributes&) {
  return operations * static_cast<double>(out.outputs[0].shape.elements());
}
/// `operations` for each element of the first input.
template <int operations>
double per_input(Op, Specs in, const Signature&, const Attributes&) {
  return operations * static_cast<double>(in[0]->shape.elements());
}

}  // namespace reef::ops
