#include "ops/autograd/tape.h"

#include <set>
#include <utility>

#include "ops/catalog/functional.h"
#include "runtime/base/check.h"

namespace reef::ops {

Variable Tape::input(const Tensor& value) {
  if (!recording()) return {value, -1};
  nodes_.emplace_back();
  nodes_.back().is_input = true;
  return {value, static_cast<std::int32_t>(nodes_.size()) - 1};
}

Variable Tape::leaf(const std::string& gradient_name, const std::string& weight,
                    const Tensor& value) {
  if (!recording()) return {value, -1};
  CHECK(!gradient_name.empty());
  nodes_.emplace_back();
  nodes_.back().gradient_name = gradient_name;
  nodes_.back().weight = weight;
  return {value, static_cast<std::int32_t>(nodes_.size()) - 1};
}

Variable Tape::record(const Tensor& value, std::vector<Variable> inputs, std::vector<Tensor> saved,
                      Vjp vjp) {
  if (!recording()) return {value, -1};
  Node node;
  for (const Variable& input : inputs) node.inputs.push_back(input.id);
  node.saved = std::move(saved);
  node.vjp = std::move(vjp);
  nodes_.push_back(std::move(node));
  return {value, static_cast<std::int32_t>(nodes_.size()) - 1};
}

Leaves Tape::backward(Context& context, const Tensor& grad_output, const Leaves& weights) {
  CHECK(recording()) << "this tape kept nothing";
  CHECK(!consumed_) << "a tape is walked once";
  CHECK(output_ >= 0) << "no output was named";
  consumed_ = true;
  Gradients gradients(context, *this, weights);
  gradients.grads_[static_cast<std::size_t>(output_)] = grad_output;
  Leaves result;
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    Node& node = nodes_[id];
    Tensor grad = std::move(gradients.grads_[id]);
    gradients.grads_[id] = {};
    if (grad.defined() && node.vjp) {
      gradients.node_ = &node;
      node.vjp(context, grad, gradients);
    } else if (grad.defined() && (node.is_input || !node.gradient_name.empty())) {
      const bool added = result.emplace(node.gradient_name, std::move(grad)).second;
      CHECK(added) << "two leaves report as '" << node.gradient_name << "'";
    }
    node.saved.clear();
    node.vjp = nullptr;
  }
  return result;
}

std::size_t Tape::stash_bytes() const {
  std::set<const std::byte*> seen;
  std::size_t bytes = 0;
  for (const Node& node : nodes_) {
    for (const Tensor& tensor : node.saved) {
      if (seen.insert(tensor.bytes().data()).second) bytes += tensor.size_bytes();
    }
  }
  return bytes;
}

const Tensor& Tape::Gradients::saved(std::size_t index) const { return node_->saved.at(index); }

const Tensor& Tape::Gradients::weight(std::size_t input) const {
  CHECK(wanted(input));
  const Node& leaf = tape_.nodes_[static_cast<std::size_t>(node_->inputs[input])];
  const auto found = weights_.find(leaf.weight);
  CHECK(found != weights_.end()) << "backward lacks the weight '" << leaf.weight << "'";
  return found->second;
}

bool Tape::Gradients::wanted(std::size_t input) const { return node_->inputs.at(input) >= 0; }

void Tape::Gradients::add(std::size_t input, Tensor grad) {
  if (!wanted(input)) return;
  Tensor& sum = grads_[static_cast<std::size_t>(node_->inputs[input])];
  if (!sum.defined()) {
    sum = std::move(grad);
  } else if (sum.unique()) {
    add_into(context_, sum, grad);
  } else {
    sum = ops::add(context_, sum, grad);
  }
}

}  // namespace reef::ops
