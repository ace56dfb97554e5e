#include "ops/autograd/transforms.h"

#include <algorithm>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

constexpr Tape::Mode kHigherOrder = Tape::Mode::kHigherOrder;
constexpr Tape::Mode kValues = Tape::Mode::kEvaluate;

std::vector<Variable> inputs_on(Tape& tape, std::span<const Tensor> inputs) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.push_back(tape.input(input));
  return variables;
}

/// Zeros of `like` with a one at `element`, counted row major.
Tensor one_hot(Context& context, const Tensor& like, std::int64_t element) {
  const Tensor ones = fill(context, like.dtype(), {1}, 1);
  return pad(context, ones, 0, element, like.elements() - element - 1).reshape(like.shape());
}

Tensor flattened(Context& context, const Tensor& x) {
  return contiguous(context, x).reshape({x.elements()});
}

/// The sum of sum(outputs[i] * cotangents[i]) differentiated with respect to `of`, as constants.
std::vector<Tensor> pulled_back(Context& context, Tape& tape, std::span<const Variable> outputs,
                                std::span<const Tensor> cotangents, std::span<const Variable> of) {
  std::vector<Tensor> sums;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    CHECK(cotangents[i].spec() == outputs[i].value.spec())
        << cotangents[i].shape().text() << " beside " << outputs[i].value.shape().text();
    const std::vector<Variable> grads =
        tape.gradients(context, outputs[i], constant(cotangents[i]), of, kValues);
    for (std::size_t j = 0; j < of.size(); ++j) {
      if (i == 0) {
        sums.push_back(grads[j].value);
      } else {
        sums[j] = add(context, sums[j], grads[j].value);
      }
    }
  }
  return sums;
}

}  // namespace

ValueAndGradients vjp(Context& context, const Function& f, std::span<const Tensor> inputs,
                      const Tensor& cotangent) {
  Tape tape;
  const Variable y = f(context, tape, inputs_on(tape, inputs));
  CHECK(cotangent.shape() == y.value.shape())
      << cotangent.shape().text() << " beside " << y.value.shape().text();
  std::vector<Tensor> gradients(inputs.size());
  if (y.id >= 0) {
    tape.set_output(y);
    tape.backward(context, cotangent, {}, gradients);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!gradients[i].defined()) {
      gradients[i] = zeros(context, inputs[i].dtype(), inputs[i].shape());
    }
  }
  return {y.value, std::move(gradients)};
}

ValueAndTangent jvp(Context& context, const Function& f, std::span<const Tensor> inputs,
                    std::span<const Tensor> tangents) {
  CHECK_EQ(inputs.size(), tangents.size());
  Tape tape(kHigherOrder);
  const std::vector<Variable> x = inputs_on(tape, inputs);
  const Variable y = f(context, tape, x);
  // The gradient is linear in the cotangent, so the point at which it is differentiated is of no
  // account.
  const Variable cotangent = tape.input(zeros(context, y.value.dtype(), y.value.shape()));
  const std::vector<Variable> gradients = tape.gradients(context, y, cotangent, x);
  const std::vector<Tensor> tangent =
      pulled_back(context, tape, gradients, tangents, std::span(&cotangent, 1));
  return {y.value, tangent.at(0)};
}

Tensor jacobian(Context& context, const Function& f, std::span<const Tensor> inputs,
                std::size_t which) {
  Tape tape(kHigherOrder);
  const std::vector<Variable> x = inputs_on(tape, inputs);
  const Variable y = f(context, tape, x);
  const Tensor result = Tensor::empty(context.pool(), inputs[which].dtype(),
                                      {y.value.elements(), inputs[which].elements()});
  for (std::int64_t i = 0; i < y.value.elements(); ++i) {
    const Tensor cotangent = one_hot(context, y.value, i);
    const std::vector<Tensor> row = pulled_back(context, tape, std::span(&y, 1),
                                                std::span(&cotangent, 1), std::span(&x[which], 1));
    copy_into(context, flattened(context, row[0]), result.select(0, i));
  }
  return result;
}

Hessian::Hessian(Context& context, const Function& f, std::span<const Tensor> inputs)
    : context_(context), inputs_(inputs_on(tape_, inputs)), first_{0} {
  for (const Tensor& input : inputs) first_.push_back(first_.back() + input.elements());
  value_ = f(context, tape_, inputs_);
  CHECK_EQ(value_.value.elements(), 1) << "a Hessian is of a function with one element";
  const Tensor one = fill(context, value_.value.dtype(), value_.value.shape(), 1);
  gradients_ = tape_.gradients(context, value_, constant(one), inputs_);
  rows_.resize(static_cast<std::size_t>(size()));
}

Tensor Hessian::row(std::int64_t i) {
  CHECK(i >= 0 && i < size()) << i << " of " << size();
  Tensor& kept = rows_[static_cast<std::size_t>(i)];
  if (kept.defined()) return kept;
  const auto after = std::upper_bound(first_.begin(), first_.end(), i);
  const auto which = static_cast<std::size_t>(after - first_.begin()) - 1;
  const Variable& gradient = gradients_[which];
  const Tensor element = one_hot(context_, gradient.value, i - first_[which]);
  std::vector<Tensor> parts =
      pulled_back(context_, tape_, std::span(&gradient, 1), std::span(&element, 1), inputs_);
  kept = Tensor::empty(context_.pool(), parts[0].dtype(), {size()});
  for (std::size_t j = 0; j < parts.size(); ++j) {
    copy_into(context_, flattened(context_, parts[j]),
              kept.narrow(0, first_[j], parts[j].elements()));
  }
  return kept;
}

Tensor Hessian::rows(std::int64_t first, std::int64_t count) {
  const Tensor result =
      Tensor::empty(context_.pool(), inputs_.at(0).value.dtype(), {count, size()});
  for (std::int64_t i = 0; i < count; ++i) {
    copy_into(context_, row(first + i), result.select(0, i));
  }
  return result;
}

Tensor Hessian::block(std::size_t i, std::size_t j) {
  const Tensor all = rows(first_.at(i), first_.at(i + 1) - first_[i]);
  return contiguous(context_, all.narrow(1, first_.at(j), first_.at(j + 1) - first_[j]));
}

Tensor Hessian::matrix() { return rows(0, size()); }

std::vector<Tensor> Hessian::times(std::span<const Tensor> vectors) {
  CHECK_EQ(vectors.size(), gradients_.size());
  return pulled_back(context_, tape_, gradients_, vectors, inputs_);
}

std::vector<Tensor> hvp(Context& context, const Function& f, std::span<const Tensor> inputs,
                        std::span<const Tensor> vectors) {
  return Hessian(context, f, inputs).times(vectors);
}

}  // namespace reef::ops
