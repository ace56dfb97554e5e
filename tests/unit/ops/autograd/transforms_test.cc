#include "ops/autograd/transforms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using testing::expect_values;
using testing::input;
using testing::Inputs;
using testing::of;
using testing::Reference;
using testing::values_of;

constexpr DType kF64 = DType::kF64;

Variable total(Context& context, Tape& tape, const Variable& x) {
  return sum_to(context, tape, x, Shape{});
}

/// sum(exp(a b)), a and b of one shape.
Variable power(Context& context, Tape& tape, Inputs in) {
  return total(context, tape, exp(context, tape, mul(context, tape, in[0], in[1])));
}

/// A quartic of a softmax: every second derivative is something.
Variable crowded(Context& context, Tape& tape, Inputs in) {
  const Variable y = square(context, tape, softmax(context, tape, in[0]));
  return total(context, tape, square(context, tape, add(context, tape, y, in[0])));
}

TEST(Transforms, JacobianOfAProductIsItsMatrix) {
  Reference context;
  const Tensor matrix = input({3, 4}, 1);
  const Function f = [&matrix](Context& context, Tape& tape, Inputs in) {
    return matmul(context, tape, {matrix}, in[0], Product::kNN);
  };
  const Tensor x = input({4, 1}, 2);
  expect_values(jacobian(context, f, std::span(&x, 1), 0), values_of(matrix), 1e-15);
}

TEST(Transforms, JacobianOfAnElementwiseFunctionIsDiagonal) {
  Reference context;
  const Function f = [](Context& context, Tape& tape, Inputs in) {
    return mul(context, tape, in[0], in[1]);
  };
  const std::vector<Tensor> in = {of(kF64, {2}, {2, 3}), of(kF64, {2}, {5, 7})};
  expect_values(jacobian(context, f, in, 0), {5, 0, 0, 7}, 0);
  expect_values(jacobian(context, f, in, 1), {2, 0, 0, 3}, 0);
}

TEST(Transforms, WhatDoesNotDependHasZeroDerivatives) {
  Reference context;
  const Function f = [](Context&, Tape&, Inputs) { return Variable{of(kF64, {}, {3})}; };
  const std::vector<Tensor> in = {of(kF64, {2}, {2, 3})};
  const Tensor one = of(kF64, {}, {1});
  expect_values(vjp(context, f, in, one).gradients[0], {0, 0}, 0);
  expect_values(jvp(context, f, in, in).tangent, {0}, 0);
  expect_values(jacobian(context, f, in, 0), {0, 0}, 0);
  expect_values(Hessian(context, f, in).matrix(), {0, 0, 0, 0}, 0);
}

TEST(Transforms, BlocksOfAHessianAreWhatPaperSays) {
  Reference context;
  const double a = 0.5;
  const double b = -0.25;
  const std::vector<Tensor> in = {of(kF64, {1}, {a}), of(kF64, {1}, {b})};
  Hessian hessian(context, power, in);
  const double e = std::exp(a * b);
  expect_values(hessian.block(0, 0), {b * b * e}, 1e-15);
  expect_values(hessian.block(0, 1), {(1 + a * b) * e}, 1e-15);
  expect_values(hessian.block(1, 1), {a * a * e}, 1e-15);
  expect_values(hessian.gradient(0), {b * e}, 1e-15);
  EXPECT_NEAR(values_of(hessian.value())[0], e, 1e-15);
}

TEST(Transforms, AHessianIsSymmetricAndItsProductsAreItsOwn) {
  Reference context;
  const std::vector<Tensor> in = {input({2, 3}, 1)};
  const std::vector<Tensor> vectors = {input({2, 3}, 2)};
  const std::vector<double> matrix = values_of(Hessian(context, crowded, in).matrix());
  const std::vector<double> vector = values_of(vectors[0]);
  std::vector<double> expected(6);
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_NEAR(matrix[i * 6 + j], matrix[j * 6 + i], 1e-14);
      expected[i] += matrix[i * 6 + j] * vector[j];
    }
  }
  expect_values(hvp(context, crowded, in, vectors)[0], expected, 1e-14);
}

/// Allocations that `body` makes of the context's pool: one an op, wherever it is called.
template <typename Body>
std::uint64_t allocations(Context& context, const Body& body) {
  const auto count = [&context] {
    const Pool::Statistics statistics = context.pool().statistics();
    return statistics.hits + statistics.misses;
  };
  const std::uint64_t before = count();
  body();
  return count() - before;
}

TEST(Transforms, ARowOfAHessianIsComputedAlone) {
  Reference context;
  const std::vector<Tensor> in = {input({2, 8}, 1)};
  Hessian hessian(context, crowded, in);
  const std::uint64_t third = allocations(context, [&] { hessian.row(3); });
  const std::uint64_t again = allocations(context, [&] { hessian.row(3); });
  const std::uint64_t fourth = allocations(context, [&] { hessian.row(4); });
  const std::uint64_t rest = allocations(context, [&] { hessian.matrix(); });
  EXPECT_GT(third, 10u);
  EXPECT_EQ(again, 0u);
  EXPECT_EQ(fourth, third) << "a row costs the same, whichever came before: the tape has not grown";
  EXPECT_EQ(rest, 14 * third + 1) << "the 14 rows that were missing, and the matrix itself";
}

TEST(Transforms, DerivativesOfAnyOrderCanBeTaken) {
  Reference context;
  Tape tape(Tape::Mode::kHigherOrder);
  const Tensor at = of(kF64, {1}, {0.7});
  const Variable x = tape.input(at);
  const Variable one = {of(kF64, {1}, {1})};
  Variable y = sigmoid(context, tape, x);
  for (int order = 0; order < 4; ++order) {
    y = tape.gradients(context, y, one, std::span(&x, 1))[0];
  }
  const double s = 1 / (1 + std::exp(-0.7));  // the fourth derivative as a polynomial in sigmoid
  const double expected = s * (1 - s) * (1 - 14 * s + 36 * s * s - 24 * s * s * s);
  expect_values(y.value, {expected}, 1e-14);
}

TEST(Transforms, AnInputUsedTwiceGetsBothContributions) {
  Reference context;
  const Function f = [](Context& context, Tape& tape, Inputs in) {
    return mul(context, tape, in[0], in[0]);
  };
  const std::vector<Tensor> in = {of(kF64, {2}, {3, -4})};
  expect_values(vjp(context, f, in, of(kF64, {2}, {1, 10})).gradients[0], {6, -80}, 0);
  expect_values(jvp(context, f, in, std::vector{of(kF64, {2}, {1, 10})}).tangent, {6, -80}, 0);
}

}  // namespace
}  // namespace reef::ops
