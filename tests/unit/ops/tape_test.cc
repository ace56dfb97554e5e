#include <gtest/gtest.h>

#include "ops/autograd/functions.h"
#include "ops/autograd/tape.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::integers;
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

}  // namespace
}  // namespace reef::ops
