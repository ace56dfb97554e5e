#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> row_cases() {
  std::vector<Case> cases;
  const Tensor x = input({3, 4}, 1);
  const Tensor weight = positive({4}, 2);
  const Tensor bias = input({4}, 3);
  cases.push_back({Op::kLayerNorm,
                   "layer_norm",
                   {x, weight, bias},
                   [](Context& context, Tape& tape, Inputs in) {
                     return layer_norm(context, tape, in[0], in[1], in[2], 1e-2f);
                   }});
  cases.push_back({Op::kAddLayerNorm,
                   "add_layer_norm",
                   {x, input({3, 4}, 4), weight, bias},
                   [](Context& context, Tape& tape, Inputs in) {
                     const SumAndNorm both =
                         add_layer_norm(context, tape, in[0], in[1], in[2], in[3], 1e-2f);
                     // The sum is used past the norm as well.
                     return mul(context, tape, both.norm, both.sum);
                   }});
  cases.push_back(
      {Op::kRmsNorm, "rms_norm", {x, weight}, [](Context& context, Tape& tape, Inputs in) {
         return rms_norm(context, tape, in[0], in[1], 1e-2f);
       }});
  cases.push_back(unary_case(Op::kSoftmax, "softmax", softmax, x));
  cases.push_back(unary_case(Op::kLogSoftmax, "log_softmax", log_softmax, x));
  const Tensor targets = index({3}, {3, -1, 1});
  cases.push_back(
      {Op::kCrossEntropy, "cross_entropy", {x}, [targets](Context& context, Tape& tape, Inputs in) {
         return cross_entropy(context, tape, in[0], targets, 0.7f);
       }});
  cases.push_back({Op::kLayerNorm,
                   "residual_mlp",
                   {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({3, 4}, 4),
                    input({4}, 5), input({4, 3}, 6), input({3}, 7)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return residual_mlp(context, tape, in[0], {in[1], in[2], 1e-2f},
                                         {in[3], in[4]}, {in[5], in[6]});
                   }});
  cases.push_back({Op::kLayerNorm,
                   "mlp",
                   {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({3, 4}, 4),
                    input({4}, 5), input({4, 3}, 6)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return mlp(context, tape, in[0], {in[1], in[2], 1e-2f}, {in[3], in[4]}, in[5]);
                   }});
  cases.push_back(
      {Op::kLayerNorm,
       "norm_linear beside a residual",
       {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({3, 3}, 4), input({3}, 5)},
       [](Context& context, Tape& tape, Inputs in) {
         const Variable y =
             norm_linear(context, tape, in[0], {in[1], in[2], 1e-2f}, {in[3], in[4]});
         return add(context, tape, in[0], y);
       }});
  cases.push_back({Op::kLayerNorm,
                   "norm_project",
                   {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({4, 3}, 4)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return norm_project(context, tape, in[0], {in[1], in[2], 1e-2f}, in[3]);
                   }});
  return cases;
}

}  // namespace reef::ops::testing
