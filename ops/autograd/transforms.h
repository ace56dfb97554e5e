#pragma once
// Derivatives of functions as functions: products with the Jacobian from either side, Jacobians,
// Hessians. Every function here records on tapes of its own.

#include <functional>
#include <span>
#include <vector>

#include "ops/autograd/tape.h"

namespace reef::ops {

/// A function of variables, written with ops/autograd/functions.h. It may be called more than once
/// and on a tape of any mode. Inputs are floating.
using Function =
    std::function<Variable(Context& context, Tape& tape, std::span<const Variable> inputs)>;

struct ValueAndGradients {
  Tensor value;
  std::vector<Tensor> gradients;  ///< one an input
};
/// f(inputs) and, for each input, the gradient of sum(f * cotangent). Ops stay fused.
ValueAndGradients vjp(Context& context, const Function& f, std::span<const Tensor> inputs,
                      const Tensor& cotangent);

struct ValueAndTangent {
  Tensor value;
  Tensor tangent;  ///< shaped as the value
};
/// f(inputs) and its derivative along `tangents`. As the gradient, with respect to a cotangent, of
/// the gradient: no op needs a forward rule of its own.
ValueAndTangent jvp(Context& context, const Function& f, std::span<const Tensor> inputs,
                    std::span<const Tensor> tangents);

/// d f / d inputs[which]: a matrix, elements of f by elements of the input, both row major. A
/// vjp for each row.
Tensor jacobian(Context& context, const Function& f, std::span<const Tensor> inputs,
                std::size_t which);

/// Second derivatives of a function with one element. f and its gradient are recorded once, when it
/// is made; a row is computed when it is asked for, by one walk, and kept.
/// Row i belongs to element i of the inputs, flattened and joined in their order.
/// Memory: holds the tape. Thread: one at a time. The context must outlive it.
class Hessian {
 public:
  Hessian(Context& context, const Function& f, std::span<const Tensor> inputs);

  /// Rows and columns: elements of all inputs.
  std::int64_t size() const { return first_.back(); }
  const Tensor& value() const { return value_.value; }
  /// The gradient with respect to inputs[which].
  const Tensor& gradient(std::size_t which) const { return gradients_.at(which).value; }

  /// (size()).
  Tensor row(std::int64_t i);
  /// Rows of inputs[i], columns of inputs[j].
  Tensor block(std::size_t i, std::size_t j);
  /// (size(), size()).
  Tensor matrix();
  /// The Hessian times `vectors`, one shaped as each input. Computes no row.
  std::vector<Tensor> times(std::span<const Tensor> vectors);

 private:
  Tensor rows(std::int64_t first, std::int64_t count);

  Context& context_;
  Tape tape_{Tape::Mode::kHigherOrder};
  std::vector<Variable> inputs_;
  std::vector<std::int64_t> first_;  ///< of each input's elements; then size()
  Variable value_;
  std::vector<Variable> gradients_;
  std::vector<Tensor> rows_;  ///< undefined until asked for
};

/// The Hessian of a function with one element times `vectors`.
std::vector<Tensor> hvp(Context& context, const Function& f, std::span<const Tensor> inputs,
                        std::span<const Tensor> vectors);

}  // namespace reef::ops
