// Elementwise ops, reductions, movement and random tensors.

#include "tests/gpu/compare.h"

namespace reef::ops::gpu {

namespace {

Op next(Op op) { return static_cast<Op>(static_cast<int>(op) + 1); }

Attributes over(std::uint8_t axes) {
  Attributes attributes;
  attributes.axes = axes;
  return attributes;
}

void add_drawn(std::vector<Case>& cases) {
  Attributes attributes;
  attributes.draw = {0.3f, 11, 5, 2, 40};
  attributes.shape = Shape{5, 30, 7};
  cases.push_back({"dropout", Op::kDropout, {{{5, 30, 7}}}, attributes});
  cases.push_back({"uniform", Op::kUniform, {}, attributes, true});
  cases.push_back({"normal", Op::kNormal, {}, attributes, true});
}

}  // namespace

std::vector<Case> pointwise_cases() {
  std::vector<Case> cases;
  Attributes affine;
  affine.scale = 1.5;
  affine.shift = -0.25;
  for (const Shape& shape : {Shape{7, 30, 9}, Shape{64, 64}}) {
    for (Op op = Op::kNeg; op <= Op::kAffine; op = next(op)) {
      const bool positive = op == Op::kLog || op == Op::kSqrt || op == Op::kRsqrt;
      const Input x{shape, positive ? Fill::kPositive : Fill::kNormal};
      cases.push_back({std::string(name_of(op)), op, {x}, affine});
    }
    for (Op op = Op::kAdd; op <= Op::kSwiGlu; op = next(op)) {
      const Input divisor{shape, op == Op::kDiv ? Fill::kPositive : Fill::kNormal};
      cases.push_back({std::string(name_of(op)), op, {{shape}, divisor}});
    }
    cases.push_back({"gelu_and_grad", Op::kGeluAndGrad, {{shape}, {shape}}});
    cases.push_back({"swiglu_grad", Op::kSwiGluGrad, {{shape}, {shape}, {shape}}});
    cases.push_back({"where", Op::kWhere, {{shape, Fill::kBool}, {shape}, {shape}}});
  }
  for (const Op op : {Op::kAdd, Op::kMul, Op::kLess, Op::kMaximum}) {
    cases.push_back({std::string(name_of(op)) + " broadcast", op, {{{7, 1, 9}}, {{30, 1}}}});
  }
  cases.push_back({"where broadcast", Op::kWhere, {{{30, 1}, Fill::kBool}, {{7, 1, 9}}, {{1}}}});
  return cases;
}

std::vector<Case> reduce_cases() {
  std::vector<Case> cases;
  for (const Op op : {Op::kSum, Op::kMax}) {
    for (const std::uint8_t axes : {0, 1, 2, 4, 5, 6, 3, 7}) {
      cases.push_back({std::string(name_of(op)) + " over " + std::to_string(axes),
                       op,
                       {{{6, 70, 33}}},
                       over(axes)});
    }
    cases.push_back({std::string(name_of(op)) + " of many", op, {{{2, 40000}}}, over(2)});
    cases.push_back({std::string(name_of(op)) + " down many", op, {{{40000, 3}}}, over(1)});
  }
  cases.push_back({"sum of nothing", Op::kSum, {{{4, 0}}}, over(2)});
  cases.push_back({"square_sum", Op::kSquareSum, {{{10, 1000}}}});
  for (const bool reverse : {false, true}) {
    for (const std::uint8_t axis : {0, 1}) {
      Attributes attributes;
      attributes.axis = axis;
      attributes.reverse = reverse;
      cases.push_back({"cum_sum", Op::kCumSum, {{{9, 5000}}}, attributes});
    }
  }
  return cases;
}

std::vector<Case> move_cases() {
  std::vector<Case> cases;
  Attributes attributes;
  attributes.shape = Shape{3, 17};
  attributes.shift = 2.5;
  cases.push_back({"fill", Op::kFill, {}, attributes, true});
  cases.push_back({"copy", Op::kCopy, {{{3, 17, 6}}}});
  attributes.axis = 1;
  cases.push_back({"concat", Op::kConcat, {{{3, 17, 6}}, {{3, 1, 6}}, {{3, 5, 6}}}, attributes});
  attributes.before = {1, 0, 2};
  attributes.after = {0, 3, 1};
  cases.push_back({"pad", Op::kPad, {{{3, 17, 6}}}, attributes});
  for (const DType to : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI32,
                         DType::kI64, DType::kBool}) {
    Attributes cast;
    cast.to = to;
    cases.push_back({"cast to " + std::string(name_of(to)), Op::kCast, {{{3, 17, 6}}}, cast});
  }
  Attributes rope;
  rope.scale = 10000;
  rope.first = 5;
  cases.push_back({"rope", Op::kRope, {{{2, 9, 3, 10}}}, rope});
  rope.reverse = true;
  cases.push_back({"rope back", Op::kRope, {{{2, 9, 3, 10}}}, rope});
  add_drawn(cases);
  return cases;
}

}  // namespace reef::ops::gpu
