#include "ops/functional/einsum_equation.h"

#include <cctype>

namespace reef::ops {

namespace {

constexpr std::string_view kEllipsis = "...";

Error refuse(std::string_view text, std::string what) {
  return {Code::kTensor, "einsum \"" + std::string(text) + "\"", std::move(what)};
}

std::string quoted(char label) { return std::string("label '") + label + "'"; }

/// Of an ellipsis.
bool is_number(char label) { return std::isdigit(static_cast<unsigned char>(label)) != 0; }

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Replaces "..." by `axes` labels that end with the last of "01234567", so that ellipses of
/// different lengths are aligned at the end.
Status expand_ellipsis(std::string_view text, std::string& labels, std::size_t axes) {
  const std::size_t at = labels.find(kEllipsis);
  if (at != labels.npos) {
    const std::string numbers = "01234567";
    labels.replace(at, kEllipsis.size(), numbers.substr(numbers.size() - axes));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const char label = labels[i];
    if (label == '.') return refuse(text, "an ellipsis is three points, once in an operand");
    if (at != labels.npos && i >= at && i < at + axes) continue;
    if (std::isalpha(static_cast<unsigned char>(label)) == 0) {
      return refuse(text, quoted(label) + " is no letter");
    }
  }
  for (const char label : labels) {
    if (std::count(labels.begin(), labels.end(), label) > 1) {
      return refuse(text, quoted(label) + " stands twice in one term");
    }
  }
  return {};
}

Status read_operand(std::string_view text, std::string labels, const Shape& shape,
                    Equation& equation) {
  const bool open = labels.find(kEllipsis) != labels.npos;
  const std::size_t named = labels.size() - (open ? kEllipsis.size() : 0);
  if (named > shape.rank() || (!open && named != shape.rank())) {
    return refuse(text, "\"" + labels + "\" does not fit an operand " + shape.text());
  }
  ATOLL_TRY(expand_ellipsis(text, labels, shape.rank() - named));
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    const auto [at, added] = equation.extents.emplace(labels[axis], shape[axis]);
    if (!added && at->second != shape[axis]) {
      return refuse(text, quoted(labels[axis]) + " is " + std::to_string(at->second) + " and " +
                              std::to_string(shape[axis]));
    }
  }
  equation.operands.push_back(std::move(labels));
  return {};
}

/// Those of the ellipsis, then the letters that stand once.
std::string implicit_result(const Equation& equation) {
  std::string all;
  for (const std::string& labels : equation.operands) all += labels;
  std::string result;
  for (const auto& [label, extent] : equation.extents) {
    if (is_number(label) || std::count(all.begin(), all.end(), label) == 1) result += label;
  }
  return result;
}

Status read_result(std::string_view text, std::string labels, Equation& equation) {
  std::size_t axes = 0;  // of the longest ellipsis
  for (const auto& [label, extent] : equation.extents) axes += is_number(label);
  ATOLL_TRY(expand_ellipsis(text, labels, axes));
  for (const char label : labels) {
    if (!equation.extents.contains(label)) {
      return refuse(text, quoted(label) + " of the result is in no operand");
    }
  }
  equation.result = std::move(labels);
  return {};
}

/// Contracting from left to right must not meet more axes than a tensor has.
Status check_steps(std::string_view text, const Equation& equation) {
  std::string labels = equation.operands[0];
  for (std::size_t i = 1; i < equation.operands.size(); ++i) {
    const std::string needed = equation.needed_after(i);
    const std::string& other = equation.operands[i];
    labels = common(labels, needed + other) + lacking(common(other, needed + labels), labels);
    labels = common(labels, needed);
    std::vector<std::int64_t> extents;
    for (const char label : labels) extents.push_back(equation.extents.at(label));
    if (!Shape::make(extents).ok()) {
      return refuse(text, "after operand " + std::to_string(i + 1) + " the axes \"" + labels +
                              "\" are too many, or too large, for a tensor");
    }
  }
  return {};
}

}  // namespace

Result<Equation> Equation::parse(std::string_view text, std::span<const Shape> shapes) {
  std::string plain(text);
  std::erase(plain, ' ');
  const std::size_t arrow = plain.find("->");
  const std::vector<std::string> operands = split_at_commas(plain.substr(0, arrow));
  if (operands.size() != shapes.size()) {
    return refuse(text, "names " + std::to_string(operands.size()) + " operands; given " +
                            std::to_string(shapes.size()));
  }
  Equation equation;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    ATOLL_TRY(read_operand(text, operands[i], shapes[i], equation));
  }
  equation.result = implicit_result(equation);
  if (arrow != plain.npos) ATOLL_TRY(read_result(text, plain.substr(arrow + 2), equation));
  ATOLL_TRY(check_steps(text, equation));
  return equation;
}

Shape Equation::shape(std::string_view labels) const {
  std::vector<std::int64_t> result;
  for (const char label : labels) result.push_back(extents.at(label));
  return Shape(result);
}

std::string Equation::needed_after(std::size_t i) const {
  std::string labels = result;
  for (++i; i < operands.size(); ++i) labels += operands[i];
  return labels;
}

std::int64_t Equation::elements(std::string_view labels) const { return shape(labels).elements(); }

std::vector<std::size_t> order_of(std::string_view wanted, std::string_view labels) {
  std::vector<std::size_t> order;
  for (const char label : wanted) order.push_back(labels.find(label));
  return order;
}

std::string common(std::string_view a, std::string_view b) {
  std::string result;
  for (const char label : a) {
    if (b.find(label) != b.npos) result += label;
  }
  return result;
}

std::string lacking(std::string_view a, std::string_view b) {
  std::string result;
  for (const char label : a) {
    if (b.find(label) == b.npos) result += label;
  }
  return result;
}

}  // namespace reef::ops
