#include <gtest/gtest.h>

#include <functional>

#include "ops/autograd/functions.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::integers;
using testing::normal;
using testing::same_bits;

/// A function of the leaves in `weights`, recorded on the tape.
using Function = std::function<Variable(Context&, Tape&, const Leaves&)>;

Variable leaf(Tape& tape, const Leaves& weights, const std::string& name) {
  return tape.leaf(name, name, weights.at(name));
}

double weighted_sum(const Tensor& y, const Tensor& by) {
  double sum = 0;
  for (std::int64_t i = 0; i < y.elements(); ++i) {
    sum += static_cast<double>(y.data<float>()[i]) * by.data<float>()[i];
  }
  return sum;
}

/// Compares every gradient with central differences of sum(y * direction), on the plain kernels,
/// whose sums are in double.
void expect_gradients(const Leaves& weights, const Function& function) {
  ThreadPool context(1, Device::kReference);
  Tape tape;
  const Variable y = function(context, tape, weights);
  tape.set_output(y);
  const Tensor direction = normal(y.value.shape(), "direction");
  const Leaves grads = tape.backward(context, direction, weights);
  ASSERT_EQ(grads.size(), weights.size());
  for (const auto& [name, grad] : grads) {
    const Tensor& weight = weights.at(name);
    double scale = 1e-2;
    for (const float value : grad.values<float>()) scale = std::max<double>(scale, std::abs(value));
    for (std::int64_t i = 0; i < weight.elements(); i += 1 + weight.elements() / 40) {
      constexpr float kStep = 1.0f / 128;
      float& at = weight.data<float>()[i];
      const float kept = at;
      const auto value_at = [&](float x) {
        at = x;
        Tape evaluation(Tape::Mode::kEvaluate);
        const double value = weighted_sum(function(context, evaluation, weights).value, direction);
        at = kept;
        return value;
      };
      const double slope = (value_at(kept + kStep) - value_at(kept - kStep)) / (2.0 * kStep);
      EXPECT_NEAR(grad.data<float>()[i], slope, 2e-3 * scale) << name << " " << i;
    }
  }
}

TEST(Autograd, LinearHasTheRightGradients) {
  expect_gradients(
      {{"x", normal({2, 3, 4}, "x")}, {"w", normal({4, 5}, "w")}, {"b", normal({5}, "b")}},
      [](Context& context, Tape& tape, const Leaves& w) {
        return linear(context, tape, leaf(tape, w, "x"), leaf(tape, w, "w"), leaf(tape, w, "b"));
      });
}

TEST(Autograd, ProjectHasTheRightGradients) {
  expect_gradients({{"x", normal({2, 3, 4}, "x")}, {"w", normal({6, 4}, "w")}},
                   [](Context& context, Tape& tape, const Leaves& w) {
                     return project(context, tape, leaf(tape, w, "x"), leaf(tape, w, "w"));
                   });
}

TEST(Autograd, EmbeddingHasTheRightGradients) {
  expect_gradients({{"wte", normal({5, 4}, "wte")}, {"wpe", normal({7, 4}, "wpe")}},
                   [](Context& context, Tape& tape, const Leaves& w) {
                     return embedding(context, tape, integers({3, 6}, "tokens", 5),
                                      leaf(tape, w, "wte"), leaf(tape, w, "wpe"));
                   });
}

TEST(Autograd, LayerNormHasTheRightGradients) {
  expect_gradients({{"x", normal({3, 9}, "x")}, {"w", normal({9}, "w")}, {"b", normal({9}, "b")}},
                   [](Context& context, Tape& tape, const Leaves& w) {
                     return layer_norm(context, tape, leaf(tape, w, "x"), leaf(tape, w, "w"),
                                       leaf(tape, w, "b"), 1e-5f);
                   });
}

TEST(Autograd, GeluAddAndDropoutHaveTheRightGradients) {
  expect_gradients({{"x", normal({4, 9}, "x")}, {"y", normal({4, 9}, "y")}},
                   [](Context& context, Tape& tape, const Leaves& w) {
                     const Variable x = leaf(tape, w, "x");
                     const Variable sum =
                         add(context, tape, gelu(context, tape, x), leaf(tape, w, "y"));
                     // x is used twice: both contributions must arrive.
                     return dropout(context, tape, add(context, tape, sum, x), {0.3f, 1, 2, 3, 4});
                   });
}

TEST(Autograd, AttentionHasTheRightGradients) {
  for (const float probability : {0.0f, 0.3f}) {
    expect_gradients(
        {{"qkv", normal({2, 6, 24}, "qkv")}},
        [probability](Context& context, Tape& tape, const Leaves& w) {
          return attention(context, tape, leaf(tape, w, "qkv"), 2, {probability, 1, 2, 3, 4});
        });
  }
}

TEST(Autograd, CrossEntropyHasTheRightGradient) {
  ThreadPool context(1, Device::kReference);
  const Tensor logits = normal({3, 7}, "logits");
  const Tensor targets = integers({3}, "targets", 7);
  const Tensor grad = softmax_cross_entropy(context, logits, targets, 0.5f, true).grad_logits;
  for (std::int64_t i = 0; i < logits.elements(); ++i) {
    float& at = logits.data<float>()[i];
    const float kept = at;
    at = kept + 0.0078125f;
    const double above = softmax_cross_entropy(context, logits, targets, 1, false).loss_sum;
    at = kept - 0.0078125f;
    const double below = softmax_cross_entropy(context, logits, targets, 1, false).loss_sum;
    at = kept;
    EXPECT_NEAR(grad.data<float>()[i], 0.5 * (above - below) / 0.015625, 1e-4);
  }
}

TEST(Tape, KeepsNothingInEvaluation) {
  ThreadPool context(1);
  Tape tape(Tape::Mode::kEvaluate);
  const Variable x = tape.input(normal({4, 9}, "x"));
  const Variable y = gelu(context, tape, x);
  EXPECT_EQ(y.id, -1);
  EXPECT_EQ(tape.stash_bytes(), 0u);
  EXPECT_TRUE(y.value.unique());
}

TEST(Tape, DoesNotPinTheWeights) {
  ThreadPool context(1);
  Tape tape;
  Leaves weights{{"w", normal({9, 9}, "w")}, {"b", normal({9}, "b")}};
  const Variable x = tape.input(normal({4, 9}, "x"));
  linear(context, tape, x, leaf(tape, weights, "w"), leaf(tape, weights, "b"));
  EXPECT_TRUE(weights.at("w").unique());
  EXPECT_EQ(tape.stash_bytes(), 4u * 9 * 4);
}

TEST(Tape, ReturnsTheGradientOfItsInput) {
  ThreadPool context(1);
  Tape tape;
  const Tensor value = normal({4, 9}, "x");
  const Variable x = tape.input(value);
  tape.set_output(add(context, tape, x, x));
  const Tensor grad = normal({4, 9}, "grad");
  const Leaves grads = tape.backward(context, grad, {});
  EXPECT_TRUE(same_bits(grads.at(""), add(context, grad, grad)));
}

TEST(Tape, LeavesTheCallersGradientAlone) {
  ThreadPool context(1);
  Tape tape;
  const Variable x = tape.input(normal({4, 9}, "x"));
  tape.set_output(add(context, tape, add(context, tape, x, x), x));
  const Tensor grad = normal({4, 9}, "grad");
  const Tensor kept = grad.clone(Pool::host());
  tape.backward(context, grad, {});
  EXPECT_TRUE(same_bits(grad, kept));
}

}  // namespace
}  // namespace reef::ops
