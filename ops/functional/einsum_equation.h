#pragma once
// An einsum's equation as data, and the walk through it that einsum on tensors and einsum on
// variables share.

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/functional/reduce.h"
#include "ops/tensor/shape.h"
#include "runtime/base/error.h"

namespace reef::ops {

/// One label an axis. Axes of an ellipsis are labelled '0', '1', ...
struct Equation {
  std::vector<std::string> operands;
  std::string result;
  std::map<char, std::int64_t> extents;

  /// kTensor, naming the label, when it does not fit `shapes`.
  static Result<Equation> parse(std::string_view text, std::span<const Shape> shapes);

  /// Extents of `labels`.
  Shape shape(std::string_view labels) const;
  /// Labels of the result and of operands after the i-th.
  std::string needed_after(std::size_t i) const;
  /// Product of the extents of `labels`.
  std::int64_t elements(std::string_view labels) const;
};

/// Where each of `wanted` stands in `labels`.
std::vector<std::size_t> order_of(std::string_view wanted, std::string_view labels);
/// Labels of `a` that `b` has, or has not.
std::string common(std::string_view a, std::string_view b);
std::string lacking(std::string_view a, std::string_view b);

/// `Algebra` has a Value and the ops permute(value, order), reshape(value, shape),
/// sum(value, axes) and batch_matmul(a, b), all by value.
template <typename Algebra>
class Einsum {
 public:
  using Value = typename Algebra::Value;
  Einsum(Algebra algebra, const Equation& equation)
      : algebra_(std::move(algebra)), equation_(equation) {}

  Value run(std::span<const Value> operands) {
    Value value = operands[0];
    std::string labels = equation_.operands[0];
    for (std::size_t i = 1; i < operands.size(); ++i) {
      const std::string needed = equation_.needed_after(i);
      const std::string& other = equation_.operands[i];
      value = reduced(std::move(value), labels, needed + other);
      std::string right_labels = other;
      const Value right = reduced(operands[i], right_labels, needed + labels);
      value = contracted(value, labels, right, right_labels, needed);
    }
    value = reduced(std::move(value), labels, equation_.result);
    return algebra_.permute(value, order_of(equation_.result, labels));
  }

 private:
  /// Sums out what is not in `kept`.
  Value reduced(Value value, std::string& labels, std::string_view kept) {
    const std::string left = common(labels, kept);
    if (left == labels) return value;
    Axes axes = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (kept.find(labels[i]) == kept.npos) axes |= static_cast<Axes>(1u << i);
    }
    labels = left;
    return algebra_.reshape(algebra_.sum(value, axes), equation_.shape(left));
  }

  Value matrices(const Value& value, std::string_view labels, std::string_view batch,
                 std::string_view rows, std::string_view columns) {
    const std::string order = std::string(batch) + std::string(rows) + std::string(columns);
    return algebra_.reshape(
        algebra_.permute(value, order_of(order, labels)),
        {equation_.elements(batch), equation_.elements(rows), equation_.elements(columns)});
  }

  /// The product of two; `labels` become those of the result.
  Value contracted(const Value& a, std::string& labels, const Value& b, std::string_view b_labels,
                   std::string_view needed) {
    const std::string shared = common(labels, b_labels);
    const std::string batch = common(shared, needed);
    const std::string inner = lacking(shared, needed);
    const std::string rows = lacking(labels, b_labels);
    const std::string columns = lacking(b_labels, labels);
    const Value left = matrices(a, labels, batch, rows, inner);
    const Value right = matrices(b, b_labels, batch, inner, columns);
    labels = batch + rows + columns;
    return algebra_.reshape(algebra_.batch_matmul(left, right), equation_.shape(labels));
  }

  Algebra algebra_;
  const Equation& equation_;
};

}  // namespace reef::ops
