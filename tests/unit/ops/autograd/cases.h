#pragma once
// A small f64 example of every differentiable op, for the tests of gradients and of Hessians.

#include <ostream>
#include <string>
#include <vector>

#include "ops/autograd/transforms.h"
#include "ops/catalog/attributes.h"
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

inline void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

using Inputs = std::span<const Variable>;
inline constexpr Draw kDraw{0.3f, 1, 2, 3, 4};

/// f64, within [-1, 1].
Tensor input(const Shape& shape, double seed);
/// f64, between 0.4 and 1.6: away from the poles of logarithms and quotients.
Tensor positive(const Shape& shape, double seed);
Tensor index(const Shape& shape, const std::vector<double>& values, DType dtype = DType::kI32);

using UnaryFunction = Variable (*)(Context&, Tape&, const Variable&);
using BinaryFunction = Variable (*)(Context&, Tape&, const Variable&, const Variable&);

Case unary_case(Op op, const char* name, UnaryFunction function, const Tensor& x);
Case binary_case(Op op, const std::string& name, BinaryFunction function, const Tensor& a,
                 const Tensor& b);

std::vector<Case> product_cases();
std::vector<Case> fused_product_cases();
std::vector<Case> einsum_cases();
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
