#pragma once
// Reverse-mode differentiation: forward writes down what was done, backward walks it back.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
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

/// The gradients of leaves that a backward pass has left for later, so that those of its inputs,
/// for which the stage before waits, come sooner (Qi et al. 2023, "Zero Bubble Pipeline
/// Parallelism", arXiv 2401.10241).
/// Memory: holds what the rest of the work reads: gradients of products and what was multiplied.
class LaterGradients {
 public:
  using Work = std::function<Tensor(Context& context)>;

  /// Gradients of leaves that are still to be computed.
  std::size_t waiting() const;
  /// Does the work. Returns the gradient of every leaf by gradient name, and leaves nothing here.
  Leaves compute(Context& context);

 private:
  friend class Tape;
  struct Leaf {
    std::string gradient_name;
    Tensor sum;  ///< what the pass has computed already; perhaps undefined
    std::vector<Work> works;
  };
  std::vector<Leaf> leaves_;
};

/// One per micro-batch and stage; it is that micro-batch's stash.
///
/// kRecord is for training: fused ops, walked once. It keeps activations by handle, and leaves by
/// name only, so that a stash does not pin a version of the weights; backward is given the weights
/// again.
/// kHigherOrder is for derivatives of derivatives: ops decompose into primitives whose vjps are
/// ops on the same tape, it keeps every value, and it may be walked as often as one likes.
/// kEvaluate keeps nothing.
/// What no input and no leaf leads to is a constant and is not recorded.
///
/// Order: contributions to one gradient are added in reverse order of the forward pass.
/// Thread: one at a time.
class Tape {
 public:
  enum class Mode : std::uint8_t { kRecord, kEvaluate, kHigherOrder };
  class Gradients;
  /// Turns the gradient of a node's output into contributions to its inputs. Ops are called on
  /// gradients.tape(), so that one rule serves every mode.
  using Vjp = std::function<void(Context& context, const Variable& grad, Gradients& gradients)>;

  explicit Tape(Mode mode = Mode::kRecord);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return mode_ != Mode::kEvaluate; }
  /// True when fused ops must write themselves down as primitives.
  bool decomposes() const { return mode_ == Mode::kHigherOrder; }

  /// A value whose gradient can be asked for.
  Variable input(const Tensor& value);
  /// Stands in `saved` for what the node being recorded gives, `value`.
  static Variable result(const Tensor& value) { return {value, kResult}; }
  /// Use of the parameter `weight`, whose gradient is reported as `gradient_name`. Two uses of one
  /// weight are two leaves with gradients of their own.
  Variable leaf(const std::string& gradient_name, const std::string& weight, const Tensor& value);
  /// Appends a node, unless it has inputs and all are constants. `saved` is what `vjp` reads
  /// through Gradients::saved(); what is undefined there stays so.
  Variable record(const Tensor& value, std::vector<Variable> inputs, std::vector<Variable> saved,
                  Vjp vjp);

  /// Names the variable from which backward starts.
  void set_output(const Variable& output) { output_ = output.id; }
  /// kRecord: walks back from the output, whose gradient is `grad_output`, and consumes the tape:
  /// each node's activations are let go as soon as it is done. `weights` are those of the forward
  /// pass. Returns the gradient of every leaf by gradient name, and that of the one `input`()
  /// under "".
  Leaves backward(Context& context, const Tensor& grad_output, const Leaves& weights);
  /// The same with several inputs. `inputs` holds, in the order of the calls of input(), what has
  /// come to their gradients from elsewhere, or undefined tensors; contributions are added to it.
  Leaves backward(Context& context, const Tensor& grad_output, const Leaves& weights,
                  std::vector<Tensor>& inputs);
  /// Half of it: only the gradients of the inputs, into `inputs`. The other half has the same bits
  /// as backward() gives, unless three uses of one leaf() meet in its sum.
  LaterGradients backward_inputs(Context& context, const Tensor& grad_output, const Leaves& weights,
                                 std::vector<Tensor>& inputs);
  /// kHigherOrder: the gradients of sum(output * grad_output) with respect to each of `of`; zeros
  /// where nothing leads from it to the output. `mode` kHigherOrder: as variables of this tape;
  /// kEvaluate: as constants, and the tape does not grow.
  std::vector<Variable> gradients(Context& context, const Variable& output,
                                  const Variable& grad_output, std::span<const Variable> of,
                                  Mode mode = Mode::kHigherOrder);

  /// Bytes of activations kept, each tensor once.
  std::size_t stash_bytes() const;

 private:
  static constexpr std::int32_t kResult = -2;
  struct Node {
    std::vector<std::int32_t> inputs;
    std::vector<Variable> saved;  ///< leaves without their values, but in kHigherOrder
    Vjp vjp;                      ///< empty for inputs and leaves
    std::string gradient_name;    ///< of a leaf
    std::string weight;
  };

  std::int32_t append(Node node);
  LaterGradients walk(Context& context, const Tensor& grad_output, const Leaves& weights,
                      std::vector<Tensor>& inputs, bool postpones);
  bool is_leaf(std::int32_t id) const;
  std::vector<bool> leading_to(std::span<const Variable> of, std::int32_t last) const;

  Mode mode_;
  bool consumed_ = false;
  std::int32_t output_ = -1;
  std::deque<Node> nodes_;  ///< a variable's id is its node's index; grows while it is walked
  std::vector<std::int32_t> inputs_;
  std::unique_ptr<Tape> unrecorded_;  ///< where vjps compute that are not recorded
};

/// What a vjp sees of the walk: its node's saved values, its leaves' weights, and where
/// contributions go.
class Tape::Gradients {
 public:
  /// The tape on which the vjp's own ops belong.
  Tape& tape() const { return target_; }
  /// The i-th value saved by this node; of a leaf, the weight that backward was given.
  Variable saved(std::size_t index) const;
  /// False when nobody asks for the gradient of the i-th input.
  bool wanted(std::size_t input) const;
  /// Adds `grad` to the gradient of the i-th input.
  void add(std::size_t input, Variable grad);
  /// Adds what `work` returns: now, or after the pass, when the input is a leaf and the pass is one
  /// for the inputs. `work` holds tensors, and nothing of this pass.
  void add_later(std::size_t input, LaterGradients::Work work);
  /// Takes away what has come to the gradient of the i-th input; perhaps undefined. For a vjp that
  /// adds it in a pass that it makes anyway. All that will come besides is already there: what
  /// uses a variable later is walked earlier.
  Variable take(std::size_t input);
  /// Reports the gradients of leaves that are on a tape of the node's own (a recomputed block).
  void report(LaterGradients gradients);
  /// The weights that backward was given, for a tape of the node's own.
  const Leaves& weights() const { return weights_; }

 private:
  friend class Tape;
  Gradients(Context& context, const Tape& walked, Tape& target, const Leaves& weights,
            std::size_t count)
      : context_(context), walked_(walked), target_(target), weights_(weights), grads_(count) {}

  void add_to(std::int32_t id, Variable grad);
  void report(std::int32_t leaf);

  Context& context_;
  const Tape& walked_;
  Tape& target_;
  const Leaves& weights_;
  bool postpones_ = false;
  LaterGradients reported_;
  std::map<std::int32_t, std::vector<LaterGradients::Work>> works_;  ///< by leaf
  const Node* node_ = nullptr;
  std::vector<bool> leads_;      ///< by variable id; empty: all do
  std::vector<Variable> grads_;  ///< by variable id
};

}  // namespace reef::ops
