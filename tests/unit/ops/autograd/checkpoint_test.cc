#include "ops/autograd/checkpoint.h"

#include <gtest/gtest.h>

#include "ops/autograd/functions.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::integers;
using testing::normal;
using testing::same_bits;
using Inputs = std::span<const Variable>;

Variable leaf(Tape& tape, const Leaves& weights, const std::string& name) {
  return tape.leaf(name, name, weights.at(name));
}

/// One layer with a dropout, on two inputs, the first of them used twice.
Block block_named(const std::string& name) {
  return [name](Context& context, Tape& tape, const Leaves& weights, Inputs in) {
    const Variable n = layer_norm(context, tape, in[0], leaf(tape, weights, name + ".norm"),
                                  leaf(tape, weights, name + ".shift"), 1e-5f);
    const Variable inner = gelu(
        context, tape,
        linear(context, tape, n, leaf(tape, weights, name), leaf(tape, weights, name + ".bias")));
    const Variable kept = dropout(context, tape, inner, {0.2f, 1, 2, 3, 4});
    return add(context, tape, mul(context, tape, kept, in[1]), in[0]);
  };
}

Leaves weights_of(const std::vector<std::string>& names) {
  Leaves weights;
  for (const std::string& name : names) {
    weights[name] = normal({16, 16}, name, 0.3f);
    for (const char* part : {".norm", ".shift", ".bias"}) {
      weights[name + part] = normal({16}, name + part);
    }
  }
  return weights;
}

struct Outcome {
  Tensor value;
  Leaves leaves;
  std::vector<Tensor> inputs;
  std::size_t stash = 0;
};

/// Two blocks in a row; both inputs are used past the blocks too, so that the order in which
/// contributions are added matters.
Outcome run_model(Context& context, bool checkpointed) {
  const Leaves weights = weights_of({"a", "b"});
  Tape tape;
  const std::vector<Variable> in = {tape.input(normal({4, 16}, "x")),
                                    tape.input(normal({4, 16}, "gate"))};
  const auto apply = [&](const Block& block, const std::vector<Variable>& inputs) {
    return checkpointed ? checkpoint(context, tape, block, weights, inputs)
                        : block(context, tape, weights, inputs);
  };
  const Variable middle = apply(block_named("a"), in);
  const Variable last = apply(block_named("b"), {middle, in[1]});
  const Variable ends = add(context, tape, mul(context, tape, in[0], in[1]), last);
  const Variable y = add(context, tape, ends, middle);
  tape.set_output(y);
  Outcome outcome{y.value, {}, std::vector<Tensor>(2), tape.stash_bytes()};
  outcome.leaves = tape.backward(context, normal(y.value.shape(), "grad"), weights, outcome.inputs);
  return outcome;
}

TEST(Checkpoint, GivesTheSameBitsFromASmallerStash) {
  ThreadPool context(1);
  const Outcome plain = run_model(context, false);
  const Outcome kept = run_model(context, true);
  EXPECT_TRUE(same_bits(plain.value, kept.value));
  ASSERT_EQ(plain.leaves.size(), 8u);
  ASSERT_EQ(kept.leaves.size(), 8u);
  for (const auto& [name, grad] : plain.leaves) {
    EXPECT_TRUE(same_bits(grad, kept.leaves.at(name))) << name;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(same_bits(plain.inputs[i], kept.inputs[i])) << i;
  }
  EXPECT_EQ(kept.stash, 3u * 4 * 16 * sizeof(float))
      << "x, the gate and what is between the blocks";
  EXPECT_GT(plain.stash, 2 * kept.stash);
}

TEST(Checkpoint, NestsAndNeedsNoInputOnTheTape) {
  ThreadPool context(1);
  const Leaves weights{{"table", normal({5, 16}, "table")}};
  const Tensor tokens = integers({2, 3}, "tokens", 5);
  const Block inner = [](Context& context, Tape& tape, const Leaves& weights, Inputs in) {
    return embedding(context, tape, in[0].value, leaf(tape, weights, "table"));
  };
  const Block outer = [inner](Context& context, Tape& tape, const Leaves& weights, Inputs in) {
    return gelu(context, tape, checkpoint(context, tape, inner, weights, in));
  };
  const std::vector<Variable> in = {{tokens}};
  const auto gradient = [&](bool checkpointed) {
    Tape tape;
    const Variable y = checkpointed ? checkpoint(context, tape, outer, weights, in)
                                    : outer(context, tape, weights, in);
    tape.set_output(y);
    return tape.backward(context, normal(y.value.shape(), "grad"), weights).at("table");
  };
  EXPECT_TRUE(same_bits(gradient(false), gradient(true)));
}

TEST(Checkpoint, DoesNotPinTheWeights) {
  ThreadPool context(1);
  const Leaves weights = weights_of({"a"});
  Tape tape;
  const std::vector<Variable> in = {tape.input(normal({4, 16}, "x")), {normal({4, 16}, "gate")}};
  checkpoint(context, tape, block_named("a"), weights, in);
  for (const auto& [name, weight] : weights) EXPECT_TRUE(weight.unique()) << name;
}

TEST(Checkpoint, IsWrittenDownAsItIsForHigherOrders) {
  ThreadPool context(1, Device::kReference);
  const Block cube = [](Context& context, Tape& tape, const Leaves&, Inputs in) {
    return mul(context, tape, square(context, tape, in[0]), in[0]);
  };
  Tape tape(Tape::Mode::kHigherOrder);
  const Tensor value = normal({1}, "x");
  const Variable x = tape.input(value);
  const Variable one = {fill(context, DType::kF32, {1}, 1)};
  Variable y = checkpoint(context, tape, cube, {}, std::span(&x, 1));
  for (int order = 0; order < 3; ++order) {
    y = tape.gradients(context, y, one, std::span(&x, 1))[0];
  }
  EXPECT_FLOAT_EQ(y.value.values<float>()[0], 6);
}

}  // namespace
}  // namespace reef::ops
