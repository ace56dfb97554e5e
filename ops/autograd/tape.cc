#include "ops/autograd/tape.h"

#include <algorithm>
#include <set>
#include <utility>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"
#include "runtime/base/check.h"

namespace reef::ops {

namespace {

void accumulate(Context& context, Tape& tape, Variable& sum, Variable grad) {
  if (!sum.value.defined()) {
    sum = std::move(grad);
    return;
  }
  const DType dtype = sums_of(sum.value.dtype());
  if (sum.value.dtype() != grad.value.dtype()) {  // a weight's in f32, an activation's in bf16
    sum = cast(context, tape, sum, dtype);
    grad = cast(context, tape, grad, dtype);
  }
  // An expanded view has one element under many places and cannot be added to.
  const bool in_place = !tape.recording() && sum.value.unique() && sum.value.is_contiguous();
  if (in_place) {
    add_into(context, sum.value, grad.value);
  } else {
    sum = ops::add(context, tape, sum, grad);
  }
}

}  // namespace

Tape::Tape(Mode mode) : mode_(mode) {
  if (recording()) unrecorded_ = std::make_unique<Tape>(Mode::kEvaluate);
}

Tape::~Tape() = default;

std::int32_t Tape::append(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<std::int32_t>(nodes_.size()) - 1;
}

bool Tape::is_leaf(std::int32_t id) const {
  return id >= 0 && !nodes_[static_cast<std::size_t>(id)].gradient_name.empty();
}

Variable Tape::input(const Tensor& value) {
  if (!recording()) return {value, -1};
  inputs_.push_back(append({}));
  return {value, inputs_.back()};
}

Variable Tape::leaf(const std::string& gradient_name, const std::string& weight,
                    const Tensor& value) {
  if (!recording()) return {value, -1};
  CHECK(!gradient_name.empty());
  Node node;
  node.gradient_name = gradient_name;
  node.weight = weight;
  return {value, append(std::move(node))};
}

Variable Tape::record(const Tensor& value, std::vector<Variable> inputs,
                      std::vector<Variable> saved, Vjp vjp) {
  if (!recording()) return {value, -1};
  Node node;
  bool constant = !inputs.empty();
  for (const Variable& input : inputs) {
    node.inputs.push_back(input.id);
    constant = constant && input.id < 0;
  }
  if (constant) return {value, -1};
  const auto id = static_cast<std::int32_t>(nodes_.size());
  for (Variable& kept : saved) {
    if (kept.id == kResult) kept.id = id;
    if (kept.id != id && !decomposes() && is_leaf(kept.id)) kept.value = {};
  }
  node.saved = std::move(saved);
  node.vjp = std::move(vjp);
  return {value, append(std::move(node))};
}

Leaves Tape::backward(Context& context, const Tensor& grad_output, const Leaves& weights) {
  std::vector<Tensor> inputs(inputs_.size());
  Leaves leaves = backward(context, grad_output, weights, inputs);
  CHECK_LE(inputs.size(), 1u) << "inputs; ask for the gradient of each";
  if (!inputs.empty() && inputs[0].defined()) leaves[""] = std::move(inputs[0]);
  return leaves;
}

Leaves Tape::backward(Context& context, const Tensor& grad_output, const Leaves& weights,
                      std::vector<Tensor>& inputs) {
  return walk(context, grad_output, weights, inputs, false).compute(context);
}

LaterGradients Tape::backward_inputs(Context& context, const Tensor& grad_output,
                                     const Leaves& weights, std::vector<Tensor>& inputs) {
  return walk(context, grad_output, weights, inputs, true);
}

LaterGradients Tape::walk(Context& context, const Tensor& grad_output, const Leaves& weights,
                          std::vector<Tensor>& inputs, bool postpones) {
  CHECK(mode_ == Mode::kRecord) << "this tape is not for backward";
  CHECK(!consumed_) << "a tape is walked once";
  CHECK(output_ >= 0) << "no output was named, or it is a constant";
  CHECK_EQ(inputs.size(), inputs_.size());
  consumed_ = true;
  Gradients gradients(context, *this, *unrecorded_, weights, nodes_.size());
  gradients.postpones_ = postpones;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    gradients.grads_[static_cast<std::size_t>(inputs_[i])] = {std::move(inputs[i])};
  }
  gradients.add_to(output_, {grad_output});
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    Node& node = nodes_[id];
    if (is_leaf(static_cast<std::int32_t>(id))) {
      gradients.report(static_cast<std::int32_t>(id));
    } else if (gradients.grads_[id].value.defined() && node.vjp) {
      gradients.node_ = &node;
      node.vjp(context, std::exchange(gradients.grads_[id], {}), gradients);
    }
    node.saved.clear();
    node.vjp = nullptr;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = std::move(gradients.grads_[static_cast<std::size_t>(inputs_[i])].value);
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
                                      const Variable& grad_output, std::span<const Variable> of,
                                      Mode mode) {
  CHECK(mode_ == Mode::kHigherOrder) << "this tape keeps no derivatives of derivatives";
  static const Leaves kNone;
  Tape& target = mode == Mode::kHigherOrder ? *this : *unrecorded_;
  const auto count = static_cast<std::size_t>(output.id + 1);
  Gradients gradients(context, *this, target, kNone, count);
  gradients.leads_ = leading_to(of, output.id);
  if (output.id >= 0) gradients.grads_.back() = grad_output;
  for (std::size_t id = count; id-- > 0;) {
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
      if (!saved.value.defined() || !seen.insert(saved.value.raw()).second) continue;
      bytes += saved.value.size_bytes();
    }
  }
  return bytes;
}

Variable Tape::Gradients::saved(std::size_t index) const {
  const Variable& kept = node_->saved.at(index);
  if (kept.value.defined() || kept.id < 0) return kept;
  const std::string& name = walked_.nodes_[static_cast<std::size_t>(kept.id)].weight;
  const auto found = weights_.find(name);
  CHECK(found != weights_.end()) << "backward lacks the weight '" << name << "'";
  return {found->second};
}

bool Tape::Gradients::wanted(std::size_t input) const {
  const std::int32_t id = node_->inputs.at(input);
  return id >= 0 && (leads_.empty() || leads_[static_cast<std::size_t>(id)]);
}

void Tape::Gradients::add(std::size_t input, Variable grad) {
  if (wanted(input)) add_to(node_->inputs[input], std::move(grad));
}

void Tape::Gradients::add_later(std::size_t input, LaterGradients::Work work) {
  if (!wanted(input)) return;
  const std::int32_t id = node_->inputs[input];
  if (postpones_ && walked_.is_leaf(id)) {
    works_[id].push_back(std::move(work));
  } else {
    add_to(id, {work(context_)});
  }
}

void Tape::Gradients::add_to(std::int32_t id, Variable grad) {
  accumulate(context_, target_, grads_[static_cast<std::size_t>(id)], std::move(grad));
}

Variable Tape::Gradients::take(std::size_t input) {
  if (!wanted(input)) return {};
  return std::exchange(grads_[static_cast<std::size_t>(node_->inputs[input])], {});
}

void Tape::Gradients::report(std::int32_t leaf) {
  Tensor sum = std::move(grads_[static_cast<std::size_t>(leaf)].value);
  std::vector<LaterGradients::Work> works;
  if (const auto found = works_.find(leaf); found != works_.end()) works = std::move(found->second);
  if (!sum.defined() && works.empty()) return;
  if (sum.defined() && works.empty()) sum = contiguous(context_, sum);
  const std::string& name = walked_.nodes_[static_cast<std::size_t>(leaf)].gradient_name;
  reported_.leaves_.push_back({name, std::move(sum), std::move(works)});
}

void Tape::Gradients::report(LaterGradients gradients) {
  if (!postpones_) {
    for (auto& [name, sum] : gradients.compute(context_))
      reported_.leaves_.push_back({name, sum, {}});
  }
  for (LaterGradients::Leaf& leaf : gradients.leaves_) reported_.leaves_.push_back(std::move(leaf));
}

std::size_t LaterGradients::waiting() const {
  const auto waits = [](const Leaf& leaf) { return !leaf.works.empty(); };
  return static_cast<std::size_t>(std::count_if(leaves_.begin(), leaves_.end(), waits));
}

Leaves LaterGradients::compute(Context& context) {
  Tape evaluation(Tape::Mode::kEvaluate);
  Leaves gradients;
  for (Leaf& leaf : leaves_) {
    Variable sum{std::move(leaf.sum)};
    for (Work& work : leaf.works) {
      accumulate(context, evaluation, sum, {std::exchange(work, nullptr)(context)});
    }
    const bool added = gradients.emplace(leaf.gradient_name, contiguous(context, sum.value)).second;
    CHECK(added) << "two leaves report as '" << leaf.gradient_name << "'";
  }
  leaves_.clear();
  return gradients;
}

}  // namespace reef::ops
