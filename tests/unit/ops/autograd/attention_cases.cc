#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

namespace {

/// AttentionOptions with a mask and a scale of its own.
AttentionOptions masked(const Tensor& mask) {
  AttentionOptions options;
  options.causal = false;
  options.mask = mask;
  options.scale = 0.3f;
  return options;
}

Case attention_case(const std::string& name, std::vector<Tensor> qkv, AttentionOptions options) {
  return {Op::kAttention, name, std::move(qkv), [options](Context& context, Tape& tape, Inputs in) {
            return attention(context, tape, in[0], in[1], in[2], options);
          }};
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> cases;
  const Shape small{2, 3, 2, 2};
  const std::vector<Tensor> alike = {input(small, 1), input(small, 2), input(small, 3)};
  cases.push_back(attention_case("attention, causal", alike, {}));
  AttentionOptions dropping;
  dropping.draw = kDraw;
  cases.push_back(attention_case("attention with dropout", alike, dropping));
  // Two heads a group, and more keys than queries.
  const std::vector<Tensor> grouped = {input({1, 2, 4, 2}, 1), input({1, 3, 2, 2}, 2),
                                       input({1, 3, 2, 2}, 3)};
  cases.push_back(attention_case("attention, grouped queries", grouped, {}));
  cases.push_back(attention_case("attention with lengths", alike, masked(index({2}, {2, 0}))));
  const Tensor visible = of(DType::kBool, {2, 3}, {1, 0, 1, 0, 1, 1});
  cases.push_back(attention_case("attention with a mask", alike, masked(visible)));
  cases.push_back({Op::kAttention,
                   "packed attention",
                   {input({1, 3, 12}, 1)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return attention(context, tape, in[0], 2, kDraw);
                   }});
  cases.push_back(
      {Op::kRope, "rope", {input({1, 3, 2, 4}, 1)}, [](Context& context, Tape& tape, Inputs in) {
         return rope(context, tape, in[0], 100, 2);
       }});
  cases.push_back({Op::kRope,
                   "rope at runs of positions",
                   {input({2, 3, 2, 4}, 1)},
                   [](Context& context, Tape& tape, Inputs in) {
                     const std::vector<Run> runs{{1, 2}, {7, 1}};
                     return rope(context, tape, in[0], 100, runs);
                   }});
  return cases;
}

}  // namespace reef::ops::testing
