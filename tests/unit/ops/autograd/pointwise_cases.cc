#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> pointwise_cases() {
  const Tensor x = input({2, 3}, 1);
  const Tensor above = positive({2, 3}, 2);
  std::vector<Case> cases = {
      unary_case(Op::kNeg, "neg", neg, x),
      unary_case(Op::kAbs, "abs", abs, x),
      unary_case(Op::kExp, "exp", exp, x),
      unary_case(Op::kLog, "log", log, above),
      unary_case(Op::kSqrt, "sqrt", sqrt, above),
      unary_case(Op::kRsqrt, "rsqrt", rsqrt, above),
      unary_case(Op::kTanh, "tanh", tanh, x),
      unary_case(Op::kSigmoid, "sigmoid", sigmoid, x),
      unary_case(Op::kErf, "erf", erf, x),
      unary_case(Op::kSin, "sin", sin, x),
      unary_case(Op::kCos, "cos", cos, x),
      unary_case(Op::kSquare, "square", square, x),
      unary_case(Op::kRelu, "relu", relu, x),
      unary_case(Op::kGelu, "gelu", gelu, x),
      unary_case(Op::kSilu, "silu", silu, x),
      binary_case(Op::kAdd, "add", add, x, above),
      binary_case(Op::kSub, "sub", sub, x, above),
      binary_case(Op::kMul, "mul", mul, x, above),
      binary_case(Op::kDiv, "div", div, x, above),
      binary_case(Op::kSwiGlu, "swiglu", swiglu, x, above),
      binary_case(Op::kMaximum, "maximum", maximum, x, input({2, 3}, 5)),
      binary_case(Op::kMinimum, "minimum", minimum, x, input({2, 3}, 5)),
  };
  // Each side repeated: a leading axis that is not there, and extents of 1.
  const Tensor row = positive({3}, 3);
  const Tensor column = positive({2, 1}, 4);
  for (const auto& [op, function] : {std::pair<Op, BinaryFunction>{Op::kAdd, add},
                                     {Op::kSub, sub},
                                     {Op::kMul, mul},
                                     {Op::kDiv, div},
                                     {Op::kMaximum, maximum}}) {
    const std::string name = std::string(name_of(op)) + ", broadcast";
    cases.push_back(binary_case(op, name, function, column, row));
    cases.push_back(binary_case(op, name + " right", function, above, row));
  }
  cases.push_back({Op::kAffine, "affine", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return affine(context, tape, in[0], -2.5, 3);
                   }});
  const Tensor condition = of(DType::kBool, {3}, {1, 0, 1});
  cases.push_back(
      {Op::kWhere, "where", {x, column}, [condition](Context& context, Tape& tape, Inputs in) {
         return where(context, tape, condition, in[0], in[1]);
       }});
  cases.push_back({Op::kDropout, "dropout", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return dropout(context, tape, in[0], kDraw);
                   }});
  return cases;
}

}  // namespace reef::ops::testing
