#pragma once
// A small f64 example of every differentiable op, for the tests of gradients and of Hessians.

#include <string>
#include <vector>

#include "ops/autograd/transforms.h"
#include "ops/catalog/op.h"

namespace reef::ops::testing {

struct Case {
  Op op;
  std::string name;
  std::vector<Tensor> inputs;
  Function function;
  double step = 1e-5;       ///< of finite differences
  double tolerance = 1e-8;  ///< relative to the greatest derivative, or to 1
};

std::vector<Case> product_cases();
std::vector<Case> attention_cases();
std::vector<Case> row_cases();
std::vector<Case> index_cases();
std::vector<Case> pointwise_cases();
std::vector<Case> reduce_cases();
std::vector<Case> move_cases();
std::vector<Case> vision_cases();
/// All of them.
std::vector<Case> all_cases();

/// A case's function times uneven numbers, summed: what differences are taken of.
Function scalar_of(const Case& one);

}  // namespace reef::ops::testing
