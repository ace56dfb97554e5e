// Gradients of bf16: those of weights are f32, those of activations bf16.

#include <gtest/gtest.h>

#include "ops/autograd/functions.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::difference;
using testing::integers;
using testing::normal;
using Inputs = std::span<const Variable>;

constexpr DType kBF16 = DType::kBF16;

/// `function` of the leaves "0", "1", .., walked back from a gradient of ones.
using OfLeaves = std::function<Variable(Context&, Tape&, Inputs)>;
Leaves gradients_of(Context& context, const std::vector<Tensor>& values, const OfLeaves& function) {
  Tape tape;
  Leaves weights;
  std::vector<Variable> leaves;
  for (const Tensor& value : values) {
    const std::string name = std::to_string(leaves.size());
    weights[name] = value;
    leaves.push_back(tape.leaf(name, name, value));
  }
  const Variable y = function(context, tape, leaves);
  tape.set_output(y);
  return tape.backward(context, fill(context, y.value.dtype(), y.value.shape(), 1), weights);
}

/// Input 0 is an activation, the others weights.
void expect_wide_weights(const std::vector<Tensor>& values, const OfLeaves& function) {
  ThreadPool context(1);
  std::vector<Tensor> narrow;
  std::vector<Tensor> wide;  // the same numbers
  for (const Tensor& value : values) {
    narrow.push_back(cast(context, value, kBF16));
    wide.push_back(cast(context, narrow.back(), DType::kF32));
  }
  const Leaves grads = gradients_of(context, narrow, function);
  const Leaves expected = gradients_of(context, wide, function);
  ASSERT_EQ(grads.size(), values.size());
  for (const auto& [name, grad] : grads) {
    EXPECT_EQ(grad.dtype(), name == "0" ? kBF16 : DType::kF32) << name;
    EXPECT_LE(difference(cast(context, grad, DType::kF32), expected.at(name)), 2e-2) << name;
  }
}

TEST(Precision, LinearHasF32GradientsOfItsWeights) {
  const std::vector<Tensor> values = {normal({64, 16}, "x"), normal({16, 8}, "w"),
                                      normal({8}, "b")};
  expect_wide_weights(values, [](Context& context, Tape& tape, Inputs in) {
    return linear(context, tape, in[0], in[1], in[2]);
  });
  expect_wide_weights(values, [](Context& context, Tape& tape, Inputs in) {
    return linear_activation(context, tape, in[0], in[1], in[2], Activation::kGelu);
  });
  expect_wide_weights(
      {values[0], normal({8, 16}, "w")},
      [](Context& context, Tape& tape, Inputs in) { return project(context, tape, in[0], in[1]); });
}

TEST(Precision, NormsHaveF32GradientsOfTheirWeights) {
  const std::vector<Tensor> values = {normal({64, 16}, "x"), normal({16}, "w"), normal({16}, "b")};
  expect_wide_weights(values, [](Context& context, Tape& tape, Inputs in) {
    return gelu(context, tape, layer_norm(context, tape, in[0], in[1], in[2], 1e-5f));
  });
  expect_wide_weights({values[0], values[1]}, [](Context& context, Tape& tape, Inputs in) {
    return gelu(context, tape, rms_norm(context, tape, in[0], in[1], 1e-5f));
  });
}

TEST(Precision, ConvolutionHasF32GradientsOfItsWeights) {
  const std::vector<Tensor> values = {normal({2, 2, 6, 6}, "x"), normal({3, 2, 3, 3}, "w"),
                                      normal({3}, "b")};
  expect_wide_weights(values, [](Context& context, Tape& tape, Inputs in) {
    return conv2d(context, tape, in[0], in[1], in[2], {});
  });
}

TEST(Precision, HeadHasF32GradientsOfItsWeight) {
  const Tensor targets = integers({64}, "targets", 8);
  expect_wide_weights({normal({64, 16}, "x"), normal({8, 16}, "w")},
                      [&targets](Context& context, Tape& tape, Inputs in) {
                        return linear_cross_entropy(context, tape, in[0], in[1], targets, 0.5f);
                      });
}

TEST(Precision, EmbeddingHasF32GradientsOfItsTables) {
  ThreadPool context(1);
  const Tensor tokens = integers({2, 3}, "tokens", 5);
  const std::vector<Tensor> tables = {cast(context, normal({5, 4}, "table"), kBF16)};
  const Leaves grads = gradients_of(context, tables, [&](Context& context, Tape& tape, Inputs in) {
    return embedding(context, tape, tokens, in[0]);
  });
  EXPECT_EQ(grads.at("0").dtype(), DType::kF32);
}

}  // namespace
}  // namespace reef::ops
