#include "tests/unit/ops/autograd/cases.h"

#include "ops/autograd/functions.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

Tensor input(const Shape& shape, double seed) { return uneven(DType::kF64, shape, seed); }

Tensor positive(const Shape& shape, double seed) {
  std::vector<double> values = values_of(input(shape, seed));
  for (double& value : values) value = 1 + 0.6 * value;
  return of(DType::kF64, shape, values);
}

Tensor index(const Shape& shape, const std::vector<double>& values, DType dtype) {
  return of(dtype, shape, values);
}

Case unary_case(Op op, const char* name, UnaryFunction function, const Tensor& x) {
  return {op, name, {x}, [function](Context& context, Tape& tape, Inputs in) {
            return function(context, tape, in[0]);
          }};
}

Case binary_case(Op op, const std::string& name, BinaryFunction function, const Tensor& a,
                 const Tensor& b) {
  return {op, name, {a, b}, [function](Context& context, Tape& tape, Inputs in) {
            return function(context, tape, in[0], in[1]);
          }};
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& family :
       {product_cases, fused_product_cases, einsum_cases, attention_cases, row_cases, index_cases,
        pointwise_cases, reduce_cases, move_cases, vision_cases}) {
    for (Case& one : family()) all.push_back(std::move(one));
  }
  return all;
}

Function scalar_of(const Case& one) {
  return [function = one.function](Context& context, Tape& tape, Inputs in) {
    const Variable y = function(context, tape, in);
    const Variable by = {input(y.value.shape(), 9)};
    return sum_to(context, tape, mul(context, tape, y, by), Shape{});
  };
}

}  // namespace reef::ops::testing
