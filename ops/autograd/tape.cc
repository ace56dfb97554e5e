#include "ops/autograd/tape.h"

#include <set>
#include <utility>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"
#include "runtime/base/check.h"

namespace reef::ops {

Tape::Tape(Mode mode) : mode_(mode) {
  if (mode_ == Mode::kRecord) unrecorded_ = std::make_unique<Tape>(Mode::kEvaluate);
}

Tape::~Tape() = default;

std::int32_t Tape::append(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<std::int32_t>(nodes_.size()) - 1;
}

Variable Tape::input(const Tensor& value) {
  if (!recording()) return {value, -1};
  Node node;
  node.is_input = true;
  return {value, append(std::move(node))};
}

Variable Tape::leaf(const std::string& gradient_name, const std::string& weight,
                    const Tensor& value) {
  if (!recording()) return {value, -1};
  CHECK(!gradient_name.empty());
  Node node;
  node.gradient_name = gradient_name;
  node.weight = weight;
  if (decomposes()) node.value = value;
  return {value, append(std::move(node))};
}

Variable Tape::record(const Tensor& value, std::vector<Variable> inputs,
                      std::vector<Variable> saved, Vjp vjp) {
  if (!recording()) return {value, -1};
  Node node;
  for (const Variable& input : inputs) node.inputs.push_back(input.id);
  node.saved = std::move(saved);
  node.vjp = std::move(vjp);
  return {value, append(std::move(node))};
}

Leaves Tape::backward(Context& context, const Tensor& grad_output, const Leaves& weights) {
  CHECK(mode_ == Mode::kRecord) << "this tape is not for backward";
  CHECK(!consumed_) << "a tape is walked once";
  CHECK(output_ >= 0) << "no output was named";
  consumed_ = true;
  Gradients gradients(context, *this, weights, nodes_.size());
  gradients.grads_[static_cast<std::size_t>(output_)] = {grad_output};
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    Node& node = nodes_[id];
    Variable grad = std::exchange(gradients.grads_[id], {});
    if (grad.value.defined() && node.vjp) {
      gradients.node_ = &node;
      node.vjp(context, grad, gradients);
    } else if (grad.value.defined() && (node.is_input || !node.gradient_name.empty())) {
      gradients.report(node.gradient_name, std::move(grad.value));
    }
    node.saved.clear();
    node.vjp = nullptr;
  }
  return std::move(gradients.reported_);
}

/// Of the nodes up to `last`: those from which one of `of` is reached.
std::vector<bool> Tape::leading_to(std::span<const Variable> of, std::int32_t last) const {
  std::vector<bool> leads(static_cast<std::size_t>(last) + 1);
  for (const Variable& variable : of) {
    CHECK(variable.id >= 0) << "no gradient can be asked of a constant";
    if (variable.id <= last) leads[static_cast<std::size_t>(variable.id)] = true;
  }
  for (std::size_t id = 0; id < leads.size(); ++id) {
    for (const std::int32_t input : nodes_[id].inputs) {
      if (input >= 0 && leads[static_cast<std::size_t>(input)]) leads[id] = true;
    }
  }
  return leads;
}

std::vector<Variable> Tape::gradients(Context& context, const Variable& output,
                                      const Variable& grad_output, std::span<const Variable> of) {
  CHECK(mode_ == Mode::kHigherOrder) << "this tape keeps no derivatives of derivatives";
  CHECK(output.id >= 0) << "the output is a constant";
  static const Leaves kNone;
  Gradients gradients(context, *this, kNone, static_cast<std::size_t>(output.id) + 1);
  gradients.leads_ = leading_to(of, output.id);
  gradients.grads_[static_cast<std::size_t>(output.id)] = grad_output;
  for (std::size_t id = gradients.grads_.size(); id-- > 0;) {
    const Node& node = nodes_[id];
    if (!gradients.leads_[id] || !gradients.grads_[id].value.defined() || !node.vjp) continue;
    gradients.node_ = &node;
    node.vjp(context, Variable(gradients.grads_[id]), gradients);
  }
  std::vector<Variable> result;
  for (const Variable& variable : of) {
    Variable grad = variable.id <= output.id
                        ? gradients.grads_[static_cast<std::size_t>(variable.id)]
                        : Variable{};
    if (!grad.value.defined()) {
      grad = {zeros(context, variable.value.dtype(), variable.value.shape())};
    }
    result.push_back(std::move(grad));
  }
  return result;
}

std::size_t Tape::stash_bytes() const {
  std::set<const std::byte*> seen;
  std::size_t bytes = 0;
  for (const Node& node : nodes_) {
    for (const Variable& saved : node.saved) {
      if (seen.insert(saved.value.raw()).second) bytes += saved.value.size_bytes();
    }
  }
  return bytes;
}

Tape& Tape::Gradients::tape() const { return tape_.decomposes() ? tape_ : *tape_.unrecorded_; }

const Variable& Tape::Gradients::saved(std::size_t index) const { return node_->saved.at(index); }

Variable Tape::Gradients::weight(std::size_t input) const {
  CHECK(node_->inputs.at(input) >= 0) << "input " << input << " is no leaf";
  const std::int32_t id = node_->inputs[input];
  const Node& leaf = tape_.nodes_[static_cast<std::size_t>(id)];
  if (leaf.value.defined()) return {leaf.value, id};
  const auto found = weights_.find(leaf.weight);
  CHECK(found != weights_.end()) << "backward lacks the weight '" << leaf.weight << "'";
  return {found->second};
}

bool Tape::Gradients::wanted(std::size_t input) const {
  const std::int32_t id = node_->inputs.at(input);
  return id >= 0 && (leads_.empty() || leads_[static_cast<std::size_t>(id)]);
}

void Tape::Gradients::add(std::size_t input, Variable grad) {
  if (!wanted(input)) return;
  Variable& sum = grads_[static_cast<std::size_t>(node_->inputs[input])];
  if (!sum.value.defined()) {
    sum = std::move(grad);
  } else if (!tape_.decomposes() && sum.value.unique()) {
    add_into(context_, sum.value, grad.value);
  } else {
    sum = ops::add(context_, tape(), sum, grad);
  }
}

void Tape::Gradients::report(const std::string& gradient_name, Tensor grad) {
  const bool added = reported_.emplace(gradient_name, std::move(grad)).second;
  CHECK(added) << "two leaves report as '" << gradient_name << "'";
}

}  // namespace reef::ops
