#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> reduce_cases() {
  const Tensor x = input({2, 3, 2}, 1);
  std::vector<Case> cases;
  cases.push_back({Op::kSum, "sum", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return sum(context, tape, in[0], 0b101);
                   }});
  cases.push_back({Op::kSum, "sum_to", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return sum_to(context, tape, in[0], Shape{3, 1});
                   }});
  cases.push_back({Op::kMax, "max", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return max(context, tape, in[0], 0b110);
                   }});
  for (const bool reverse : {false, true}) {
    cases.push_back({Op::kCumSum,
                     reverse ? "cum_sum from the end" : "cum_sum",
                     {x},
                     [reverse](Context& context, Tape& tape, Inputs in) {
                       return cum_sum(context, tape, in[0], 1, reverse);
                     }});
  }
  return cases;
}

std::vector<Case> move_cases() {
  const Tensor x = input({2, 3, 2}, 1);
  std::vector<Case> cases;
  const auto add_case = [&cases](Op op, const char* name, std::vector<Tensor> inputs,
                                 Function function) {
    cases.push_back({op, name, std::move(inputs), std::move(function)});
  };
  add_case(Op::kCopy, "reshape of a transposed view, narrowed", {x},
           [](Context& context, Tape& tape, Inputs in) {
             const Variable turned = transpose(context, tape, in[0], 0, 2);
             return narrow(context, tape, reshape(context, tape, turned, Shape{4, 3}), 0, 1, 2);
           });
  add_case(Op::kCopy, "contiguous permute", {x}, [](Context& context, Tape& tape, Inputs in) {
    constexpr std::size_t kOrder[] = {2, 0, 1};
    return contiguous(context, tape, permute(context, tape, in[0], kOrder));
  });
  add_case(Op::kCopy, "select and expand", {x}, [](Context& context, Tape& tape, Inputs in) {
    const Variable middle = select(context, tape, in[0], 1, 1);
    return expand(context, tape, middle, Shape{3, 2, 2});
  });
  add_case(Op::kConcat, "split and concat", {x, input({2, 3, 1}, 2)},
           [](Context& context, Tape& tape, Inputs in) {
             const std::vector<Variable> parts = split(context, tape, in[0], 2, 2);
             return concat(context, tape, std::vector{parts[1], in[1], parts[0]}, 2);
           });
  add_case(Op::kConcat, "take_runs", {x}, [](Context& context, Tape& tape, Inputs in) {
    constexpr Run kRuns[] = {{2, 1}, {0, 2}};
    return take_runs(context, tape, in[0], 1, kRuns);
  });
  add_case(Op::kPad, "pad", {x}, [](Context& context, Tape& tape, Inputs in) {
    return pad(context, tape, in[0], 1, 1, 2, 5);
  });
  // Rounding makes steps, so differences must be taken far apart.
  cases.push_back({Op::kCast,
                   "cast to f32 and back",
                   {x},
                   [](Context& context, Tape& tape, Inputs in) {
                     const Variable narrow = cast(context, tape, in[0], DType::kF32);
                     return cast(context, tape, narrow, DType::kF64);
                   },
                   0.5,
                   1e-6});
  return cases;
}

}  // namespace reef::ops::testing
