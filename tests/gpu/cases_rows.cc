// Norms, softmax and losses.

#include "tests/gpu/compare.h"

namespace reef::ops::gpu {

namespace {

Input rows_of(const Shape& shape) { return {shape}; }
Input one_of(std::int64_t columns) { return {Shape{columns}}; }
/// Statistics are f32 whatever the activations are.
Input statistics(const Shape& shape) { return {shape, Fill::kNormal, 0, true}; }

void add_norms(std::vector<Case>& cases, const Shape& x) {
  const std::int64_t columns = x.back();
  const std::int64_t rows = x.rows();
  const Input one = one_of(columns);
  const Input all = rows_of(x);
  const Input two = statistics(Shape{rows, 2});
  cases.push_back({"layer_norm", Op::kLayerNorm, {all, one, one}});
  cases.push_back({"add_layer_norm", Op::kAddLayerNorm, {all, all, one, one}});
  cases.push_back({"layer_norm_grad", Op::kLayerNormGrad, {all, one, two, all}});
  cases.push_back({"layer_norm_grad of a sum", Op::kLayerNormGrad, {all, one, two, all, all}});
  cases.push_back({"rms_norm", Op::kRmsNorm, {all, one}});
  cases.push_back({"rms_norm_grad", Op::kRmsNormGrad, {all, one, statistics(Shape{rows}), all}});
}

void add_softmax(std::vector<Case>& cases, const Shape& x) {
  const Input all = rows_of(x);
  const Input targets{Shape{x.rows()}, Fill::kTarget, static_cast<std::uint64_t>(x.back())};
  Attributes scaled;
  scaled.scale = 0.25;
  cases.push_back({"softmax", Op::kSoftmax, {all}});
  cases.push_back({"softmax_grad", Op::kSoftmaxGrad, {all, all}});
  cases.push_back({"log_softmax", Op::kLogSoftmax, {all}});
  cases.push_back({"log_softmax_grad", Op::kLogSoftmaxGrad, {all, all}});
  cases.push_back({"cross_entropy", Op::kCrossEntropy, {all, targets}, scaled});
  cases.push_back({"cross_entropy_grad", Op::kCrossEntropyGrad, {all, targets}, scaled});
}

}  // namespace

std::vector<Case> row_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{3, 5, 37}, Shape{300, 192}, Shape{4, 2050}, Shape{7, 1}}) {
    // Of one column a norm is 0 / 0 but for epsilon: nothing that could be compared.
    if (shape.back() > 1) add_norms(cases, shape);
    add_softmax(cases, shape);
  }
  return cases;
}

}  // namespace reef::ops::gpu
