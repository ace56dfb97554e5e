#include <gtest/gtest.h>

#include "ops/autograd/functions.h"
#include "ops/autograd/tape.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::difference;
using testing::normal;
using testing::same_bits;

Variable leaf(Tape& tape, const Leaves& weights, const std::string& name) {
  return tape.leaf(name, name, weights.at(name));
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

TEST(Tape, KeepsAnyLeafByNameWhereverItIsSaved) {
  ThreadPool context(1);
  Tape tape;
  const Leaves weights{{"a", normal({4, 9}, "a")}, {"b", normal({9}, "b")}};
  const Variable a = leaf(tape, weights, "a");
  tape.set_output(mul(context, tape, a, leaf(tape, weights, "b")));
  EXPECT_EQ(tape.stash_bytes(), 0u);
  EXPECT_TRUE(weights.at("b").unique());
  const Tensor grad = normal({4, 9}, "grad");
  const Leaves grads = tape.backward(context, grad, weights);
  EXPECT_TRUE(same_bits(grads.at("a"), mul(context, grad, weights.at("b"))));
}

TEST(Tape, DoesNotRecordWhatIsConstant) {
  ThreadPool context(1);
  Tape tape;
  const Variable constant = {normal({4, 9}, "c")};
  const Variable x = tape.input(normal({4, 9}, "x"));
  const Variable inner = gelu(context, tape, constant);
  EXPECT_EQ(inner.id, -1);
  mul(context, tape, x, inner);
  EXPECT_EQ(tape.stash_bytes(), 4u * 9 * 4) << "what x is multiplied by, and not x";
}

TEST(Tape, ReturnsTheGradientOfEachInputAddedToWhatWasThere) {
  ThreadPool context(1);
  Tape tape;
  const Tensor a = normal({4, 9}, "a");
  const Variable x = tape.input(a);
  const Variable y = tape.input(normal({4, 9}, "b"));
  tape.input(normal({2}, "unused"));
  tape.set_output(mul(context, tape, x, y));
  const Tensor before = normal({4, 9}, "before");
  const Tensor grad = normal({4, 9}, "grad");
  std::vector<Tensor> inputs = {{}, before, {}};
  tape.backward(context, grad, {}, inputs);
  EXPECT_TRUE(same_bits(inputs[1], add(context, before, mul(context, grad, a))));
  EXPECT_FALSE(inputs[2].defined());
}

TEST(Tape, HandsOutContiguousGradientsOfViews) {
  ThreadPool context(1);
  Tape tape;
  const Leaves weights{{"w", normal({3, 4}, "w")}, {"row", normal({4}, "row")}};
  const Variable turned = transpose(context, tape, leaf(tape, weights, "w"), 0, 1);
  const Variable repeated = expand(context, tape, leaf(tape, weights, "row"), {3, 4});
  tape.set_output(matmul(context, tape, repeated, turned, Product::kNN));
  const Leaves grads = tape.backward(context, normal({3, 3}, "grad"), weights);
  for (const auto& [name, grad] : grads) {
    EXPECT_TRUE(grad.is_contiguous()) << name;
    EXPECT_EQ(grad.shape(), weights.at(name).shape());
  }
}

TEST(Tape, DoesNotAddIntoARepeatedElement) {
  ThreadPool context(1);
  Tape tape;
  const Variable x = tape.input(normal({4, 9}, "x"));
  // Both contributions to x are expanded views of one row.
  const Variable sums = add(context, tape, sum(context, tape, x, 1), sum(context, tape, x, 1));
  tape.set_output(sums);
  const Tensor grad = normal({1, 9}, "grad");
  const Tensor expected = add(context, grad, grad);
  const Tensor found = tape.backward(context, grad, {}).at("");
  for (std::int64_t row = 0; row < 4; ++row) {
    EXPECT_TRUE(same_bits(contiguous(context, found).slice(row, 1), expected)) << row;
  }
}

TEST(Tape, ReachesWhatWasAddedToASumPastItsNorm) {
  ThreadPool context(1);
  const Tensor a = normal({4, 9}, "a");
  const Tensor b = normal({4, 9}, "b");
  const Leaves weights{{"w", normal({9}, "w")}, {"b", normal({9}, "b")}};
  const auto gradient = [&](bool fused) {
    Tape tape;
    const Variable x = tape.input(a);
    const Variable w = leaf(tape, weights, "w");
    const Variable bias = leaf(tape, weights, "b");
    SumAndNorm both;
    if (fused) {
      both = add_layer_norm(context, tape, x, {b}, w, bias, 1e-5f);
    } else {
      both.sum = add(context, tape, x, {b});
      both.norm = layer_norm(context, tape, both.sum, w, bias, 1e-5f);
    }
    tape.set_output(add(context, tape, both.sum, gelu(context, tape, both.norm)));
    return tape.backward(context, normal({4, 9}, "grad"), weights);
  };
  const Leaves fused = gradient(true);
  const Leaves apart = gradient(false);
  for (const auto& [name, grad] : apart) EXPECT_LE(difference(fused.at(name), grad), 1e-6) << name;
}

}  // namespace
}  // namespace reef::ops
