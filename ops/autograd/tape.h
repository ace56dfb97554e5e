#pragma once
// Reverse-mode differentiation: forward writes down what was done, backward walks it back.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::ops {

/// A tensor and its place on a tape; id -1 means that no gradient is asked of it.
struct Variable {
  Tensor value;
  std::int32_t id = -1;
};

/// The tensors that leaves stand for, by name.
using Leaves = std::map<std::string, Tensor>;

/// One per micro-batch and stage; it is that micro-batch's stash.
/// Memory: keeps activations by handle, and parameters by name only, so that a stash does not pin a
/// version of the weights; backward is given the weights again.
/// Order: contributions to one gradient are added in reverse order of the forward pass.
/// Thread: one at a time.
class Tape {
 public:
  enum class Mode : std::uint8_t { kRecord, kEvaluate };
  class Gradients;
  /// Turns the gradient of a node's output into contributions to its inputs.
  using Vjp = std::function<void(Context& context, const Tensor& grad, Gradients& gradients)>;

  /// In kEvaluate nothing is kept and backward must not be called.
  explicit Tape(Mode mode = Mode::kRecord) : mode_(mode) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return mode_ == Mode::kRecord; }
  /// A value whose gradient backward can return.
  Variable input(const Tensor& value);
  /// Use of the parameter `weight`, whose gradient is reported as `gradient_name`. Two uses of one
  /// weight are two leaves with gradients of their own.
  Variable leaf(const std::string& gradient_name, const std::string& weight, const Tensor& value);
  /// Appends a node. `saved` are the activations that `vjp` reads through Gradients::saved().
  Variable record(const Tensor& value, std::vector<Variable> inputs, std::vector<Tensor> saved,
                  Vjp vjp);

  /// Names the variable from which backward starts.
  void set_output(const Variable& output) { output_ = output.id; }
  /// Walks back from the output, whose gradient is `grad_output`, and consumes the tape: each
  /// node's activations are let go as soon as it is done. `weights` are those of the forward pass.
  /// Returns the gradient of every leaf by gradient name, and that of `input`() under "".
  Leaves backward(Context& context, const Tensor& grad_output, const Leaves& weights);

  /// Bytes of activations kept, each tensor once.
  std::size_t stash_bytes() const;

 private:
  struct Node {
    std::vector<std::int32_t> inputs;
    std::vector<Tensor> saved;
    Vjp vjp;                    ///< empty for inputs and leaves
    std::string gradient_name;  ///< of a leaf
    std::string weight;
    bool is_input = false;
  };

  Mode mode_;
  bool consumed_ = false;
  std::int32_t output_ = -1;
  std::vector<Node> nodes_;  ///< a variable's id is its node's index
};

/// What a vjp sees of the walk: its node's saved tensors, its leaves' weights, and where
/// contributions go.
class Tape::Gradients {
 public:
  /// The i-th tensor saved by this node.
  const Tensor& saved(std::size_t index) const;
  /// The weight behind this node's i-th input, which must be a leaf.
  const Tensor& weight(std::size_t input) const;
  /// False when nobody asks for the gradient of the i-th input.
  bool wanted(std::size_t input) const;
  /// Adds `grad` to the gradient of the i-th input.
  void add(std::size_t input, Tensor grad);

 private:
  friend class Tape;
  Gradients(Context& context, Tape& tape, const Leaves& weights)
      : context_(context), tape_(tape), weights_(weights), grads_(tape.nodes_.size()) {}

  Context& context_;
  Tape& tape_;
  const Leaves& weights_;
  const Node* node_ = nullptr;
  std::vector<Tensor> grads_;  ///< by variable id
};

}  // namespace reef::ops
