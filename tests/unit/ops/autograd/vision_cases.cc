#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> vision_cases() {
  std::vector<Case> cases;
  const Window window{{2, 2}, {2, 1}, {1, 0}, {1, 2}, 2};
  cases.push_back({Op::kConv2d,
                   "conv2d",
                   {input({1, 2, 3, 4}, 1), input({2, 1, 2, 2}, 2), input({2}, 3)},
                   [window](Context& context, Tape& tape, Inputs in) {
                     return conv2d(context, tape, in[0], in[1], in[2], window);
                   }});
  const Shape x{1, 2, 3, 4};
  cases.push_back({Op::kConv2dInputGrad,
                   "conv2d_input_grad",
                   {input({2, 1, 2, 2}, 1), input({1, 2, 2, 2}, 2)},
                   [window, x](Context& context, Tape& tape, Inputs in) {
                     return conv2d_input_grad(context, tape, in[0], in[1], x, window);
                   }});
  const Shape weight{2, 1, 2, 2};
  cases.push_back({Op::kConv2dWeightGrad,
                   "conv2d_weight_grad",
                   {input(x, 1), input({1, 2, 2, 2}, 2)},
                   [window, weight](Context& context, Tape& tape, Inputs in) {
                     return conv2d_weight_grad(context, tape, in[0], in[1], weight, window);
                   }});
  const Window pool{{2, 2}, {2, 1}, {1, 0}, {1, 1}, 1};
  const Shape plane{1, 2, 3, 3};
  cases.push_back({Op::kMaxPool2d,
                   "max_pool2d",
                   {input(plane, 1)},
                   [pool](Context& context, Tape& tape, Inputs in) {
                     return max_pool2d(context, tape, in[0], pool);
                   }});
  cases.push_back({Op::kMaxPool2dGrad,
                   "max_pool2d_grad",
                   {input({1, 2, 2, 2}, 2)},
                   [pool, plane](Context& context, Tape& tape, Inputs in) {
                     const Tensor places = max_pool2d(context, input(plane, 1), pool).places;
                     return max_pool2d_grad(context, tape, places, in[0], plane, pool);
                   }});
  cases.push_back({Op::kAvgPool2d,
                   "avg_pool2d",
                   {input(plane, 1)},
                   [pool](Context& context, Tape& tape, Inputs in) {
                     return avg_pool2d(context, tape, in[0], pool);
                   }});
  cases.push_back({Op::kAvgPool2dGrad,
                   "avg_pool2d_grad",
                   {input({1, 2, 2, 2}, 2)},
                   [pool, plane](Context& context, Tape& tape, Inputs in) {
                     return avg_pool2d_grad(context, tape, in[0], plane, pool);
                   }});
  return cases;
}

}  // namespace reef::ops::testing
