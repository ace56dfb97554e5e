#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> product_cases() {
  std::vector<Case> cases;
  for (const Product product : {Product::kNN, Product::kNT, Product::kTN}) {
    const std::string kind = product == Product::kNN ? "NN" : product == Product::kNT ? "NT" : "TN";
    const Shape left = product == Product::kTN ? Shape{2, 2, 3} : Shape{2, 1, 4};
    const Shape right = product == Product::kNT ? Shape{3, 4} : Shape{4, 3};
    const auto multiply = [product](Context& context, Tape& tape, Inputs in) {
      return matmul(context, tape, in[0], in[1], product);
    };
    cases.push_back({Op::kMatmul, "matmul " + kind, {input(left, 1), input(right, 2)}, multiply});
    const Shape a = product == Product::kTN ? Shape{2, 4, 2} : Shape{2, 2, 4};
    const Shape b = product == Product::kNT ? Shape{2, 3, 4} : Shape{2, 4, 3};
    const auto batched = [product](Context& context, Tape& tape, Inputs in) {
      return batch_matmul(context, tape, in[0], in[1], product);
    };
    cases.push_back(
        {Op::kBatchMatmul, "batch_matmul " + kind, {input(a, 3), input(b, 4)}, batched});
  }
  return cases;
}

std::vector<Case> fused_product_cases() {
  std::vector<Case> cases;
  const std::vector<Tensor> layer = {input({2, 2, 3}, 1), input({3, 2}, 2), input({2}, 3)};
  cases.push_back({Op::kMatmul, "linear", layer, [](Context& context, Tape& tape, Inputs in) {
                     return linear(context, tape, in[0], in[1], in[2]);
                   }});
  cases.push_back({Op::kMatmul,
                   "linear without bias",
                   {layer[0], layer[1]},
                   [](Context& context, Tape& tape, Inputs in) {
                     return linear(context, tape, in[0], in[1], {});
                   }});
  for (const Activation activation : {Activation::kGelu, Activation::kSilu, Activation::kRelu}) {
    cases.push_back({Op::kMatmul,
                     "linear_activation " + std::to_string(static_cast<int>(activation)), layer,
                     [activation](Context& context, Tape& tape, Inputs in) {
                       return linear_activation(context, tape, in[0], in[1], in[2], activation);
                     }});
  }
  cases.push_back({Op::kMatmul,
                   "linear_residual",
                   {layer[0], layer[1], layer[2], input({2, 2, 2}, 4)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return linear_residual(context, tape, in[0], in[1], in[2], in[3]);
                   }});
  cases.push_back({Op::kMatmul,
                   "project",
                   {input({2, 2, 3}, 1), input({4, 3}, 2)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return project(context, tape, in[0], in[1]);
                   }});
  cases.push_back(unary_case(Op::kColumnSum, "column_sum", column_sum, input({2, 3, 2}, 1)));
  const Tensor targets = index({3}, {2, -1, 0});
  cases.push_back({Op::kLinearCrossEntropy,
                   "linear_cross_entropy",
                   {input({3, 3}, 1), input({4, 3}, 2)},
                   [targets](Context& context, Tape& tape, Inputs in) {
                     return linear_cross_entropy(context, tape, in[0], in[1], targets, 0.5f);
                   }});
  return cases;
}

std::vector<Case> einsum_cases() {
  const Tensor square = input({2, 2}, 1);
  const Tensor cube = input({2, 3, 2}, 2);
  const std::pair<const char*, std::vector<Tensor>> examples[] = {
      {"abc,cbd->bad", {cube, input({2, 3, 2}, 3)}},
      {"ij,jk", {square, input({2, 2}, 2)}},
      {"ab,bc,cd->da", {square, input({2, 2}, 2), input({2, 3}, 3)}},
      {"...a,a->...", {cube, input({2}, 2)}},
      {"abc->cb", {cube}},
  };
  std::vector<Case> cases;
  for (const auto& [equation, inputs] : examples) {
    cases.push_back({Op::kBatchMatmul, std::string("einsum ") + equation, inputs,
                     [text = equation](Context& context, Tape& tape, Inputs in) {
                       return einsum(context, tape, text, in).value();
                     }});
  }
  return cases;
}

}  // namespace reef::ops::testing
