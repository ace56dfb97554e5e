#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ops/autograd/functions.h"
#include "ops/autograd/transforms.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/support.h"
#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using testing::Case;
using testing::values_of;

/// Ops that have no derivative, or whose derivative is taken in another form.
constexpr Op kNotDifferentiable[] = {
    // Gradients of fused ops: those of gradients are taken in the decomposed form.
    Op::kAttentionGrad, Op::kLayerNormGrad, Op::kRmsNormGrad, Op::kSoftmaxGrad, Op::kLogSoftmaxGrad,
    Op::kCrossEntropyGrad, Op::kEmbeddingGrad, Op::kGeluGrad, Op::kSiluGrad, Op::kSwiGluGrad,
    Op::kGeluAndGrad,
    // Their results are places, truths or signs.
    Op::kArgMax, Op::kEqual, Op::kLess, Op::kLessEqual, Op::kSign,
    // They read nothing.
    Op::kFill, Op::kUniform, Op::kNormal,
    // For clipping; sum and square are its differentiable form.
    Op::kSquareSum,
    // They write in place.
    Op::kAdamW, Op::kSgd, Op::kLion, Op::kAdafactor};

TEST(Gradients, EveryOpIsDifferentiatedOrSaidNotToBe) {
  std::set<Op> covered(std::begin(kNotDifferentiable), std::end(kNotDifferentiable));
  for (const Case& one : testing::all_cases()) {
    EXPECT_FALSE(std::count(std::begin(kNotDifferentiable), std::end(kNotDifferentiable), one.op))
        << name_of(one.op) << " is differentiated after all";
    covered.insert(one.op);
  }
  for (std::size_t i = 0; i < kOpCount; ++i) {
    EXPECT_TRUE(covered.contains(static_cast<Op>(i)))
        << name_of(static_cast<Op>(i)) << " has no row in the cases";
  }
}

/// Calls body(shifted) with element i of input `which` moved by `by`.
template <typename Body>
auto shifted(const Case& one, std::size_t which, std::int64_t i, double by, const Body& body) {
  std::vector<Tensor> inputs = one.inputs;
  inputs[which] = inputs[which].clone(Pool::host());
  inputs[which].data<double>()[i] += by;
  return body(inputs);
}

double greatest(const std::vector<double>& values) {
  double most = 1;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

const Tensor& one() {
  static const Tensor value = testing::of(DType::kF64, {}, {1});
  return value;
}

class EveryCase : public ::testing::TestWithParam<Case> {
 protected:
  ThreadPool context_{1, Device::kReference};
};

TEST_P(EveryCase, HasTheGradientsOfItsDifferences) {
  const Case& example = GetParam();
  const Function f = testing::scalar_of(example);
  const ValueAndGradients fused = vjp(context_, f, example.inputs, one());
  const Hessian higher(context_, f, example.inputs);
  const auto value_at = [&](const std::vector<Tensor>& inputs) {
    Tape tape(Tape::Mode::kEvaluate);
    std::vector<Variable> constants;
    for (const Tensor& input : inputs) constants.push_back({input});
    return f(context_, tape, constants).value.data<double>()[0];
  };
  for (std::size_t which = 0; which < example.inputs.size(); ++which) {
    ASSERT_EQ(fused.gradients[which].spec(), example.inputs[which].spec());
    const std::vector<double> recorded = values_of(fused.gradients[which]);
    const std::vector<double> decomposed = values_of(higher.gradient(which));
    const double limit = example.tolerance * greatest(recorded);
    for (std::int64_t i = 0; i < example.inputs[which].elements(); ++i) {
      const double above = shifted(example, which, i, example.step, value_at);
      const double below = shifted(example, which, i, -example.step, value_at);
      const double slope = (above - below) / (2 * example.step);
      EXPECT_NEAR(recorded[static_cast<std::size_t>(i)], slope, limit) << which << ", " << i;
      EXPECT_NEAR(decomposed[static_cast<std::size_t>(i)], slope, limit) << which << ", " << i;
    }
  }
}

TEST_P(EveryCase, GivesTheSameValuesDecomposed) {
  const Case& example = GetParam();
  const auto value_on = [&](Tape::Mode mode) {
    Tape tape(mode);
    std::vector<Variable> inputs;
    for (const Tensor& input : example.inputs) inputs.push_back(tape.input(input));
    return example.function(context_, tape, inputs).value;
  };
  const Tensor fused = value_on(Tape::Mode::kRecord);
  const Tensor decomposed = value_on(Tape::Mode::kHigherOrder);
  ASSERT_EQ(fused.spec(), decomposed.spec());
  const std::vector<double> expected = values_of(fused);
  const std::vector<double> values = values_of(decomposed);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(values[i], expected[i], 1e-12 * greatest(expected)) << i;
  }
}

TEST_P(EveryCase, HasTheHessianOfItsGradientsDifferences) {
  const Case& example = GetParam();
  const Function f = testing::scalar_of(example);
  Hessian hessian(context_, f, example.inputs);
  const std::vector<double> matrix = values_of(hessian.matrix());
  const double limit = example.tolerance * greatest(matrix);
  const auto gradient_at = [&](const std::vector<Tensor>& inputs) {
    std::vector<double> joined;
    for (const Tensor& part : vjp(context_, f, inputs, one()).gradients) {
      for (const double value : values_of(part)) joined.push_back(value);
    }
    return joined;
  };
  std::size_t row = 0;
  for (std::size_t which = 0; which < example.inputs.size(); ++which) {
    for (std::int64_t i = 0; i < example.inputs[which].elements(); ++i, ++row) {
      const std::vector<double> above = shifted(example, which, i, example.step, gradient_at);
      const std::vector<double> below = shifted(example, which, i, -example.step, gradient_at);
      for (std::size_t j = 0; j < above.size(); ++j) {
        const double slope = (above[j] - below[j]) / (2 * example.step);
        EXPECT_NEAR(matrix[row * above.size() + j], slope, limit) << row << ", " << j;
      }
    }
  }
}

TEST_P(EveryCase, HasTheTangentOfItsDifferences) {
  const Case& example = GetParam();
  std::vector<Tensor> tangents;
  for (const Tensor& input : example.inputs) {
    tangents.push_back(testing::input(input.shape(), 3.5 + static_cast<double>(tangents.size())));
  }
  const auto value_at = [&](double by) {
    Tape tape(Tape::Mode::kEvaluate);
    std::vector<Variable> moved;
    for (std::size_t i = 0; i < tangents.size(); ++i) {
      moved.push_back({add(context_, example.inputs[i], affine(context_, tangents[i], by))});
    }
    return values_of(example.function(context_, tape, moved).value);
  };
  const ValueAndTangent result = jvp(context_, example.function, example.inputs, tangents);
  const std::vector<double> tangent = values_of(result.tangent);
  const std::vector<double> above = value_at(example.step);
  const std::vector<double> below = value_at(-example.step);
  ASSERT_EQ(tangent.size(), above.size());
  for (std::size_t i = 0; i < above.size(); ++i) {
    const double slope = (above[i] - below[i]) / (2 * example.step);
    EXPECT_NEAR(tangent[i], slope, example.tolerance * greatest(tangent)) << i;
  }
}

std::string test_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name;
  for (const char c : info.param.name)
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return std::to_string(info.index) + "_" + name;
}

INSTANTIATE_TEST_SUITE_P(Gradients, EveryCase, ::testing::ValuesIn(testing::all_cases()),
                         test_name);

}  // namespace
}  // namespace reef::ops
