#include "ops/autograd/checkpoint.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace reef::ops {

namespace {

/// What backward needs of the forward pass.
struct Recipe {
  Block block;
  std::vector<bool> fed;  ///< by input: not a constant; all false: the node has no inputs
};

/// Records the block again, walks it, and hands on what it gives.
void recompute(Context& context, const Recipe& recipe, const Tensor& grad,
               Tape::Gradients& gradients) {
  Tape tape;
  std::vector<Variable> inputs;
  std::vector<std::size_t> places;  // of the inputs on `tape`
  std::vector<Tensor> sums;
  for (std::size_t i = 0; i < recipe.fed.size(); ++i) {
    const Tensor value = gradients.saved(i).value;
    inputs.push_back(recipe.fed[i] ? tape.input(value) : Variable{value});
    if (!recipe.fed[i]) continue;
    places.push_back(i);
    sums.push_back(gradients.take(i).value);  // so that contributions keep their order
  }
  const Variable output = recipe.block(context, tape, gradients.weights(), inputs);
  if (output.id >= 0) {
    tape.set_output(output);
    gradients.report(tape.backward_inputs(context, grad, gradients.weights(), sums));
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (sums[i].defined()) gradients.add(places[i], {std::move(sums[i])});
  }
}

}  // namespace

Variable checkpoint(Context& context, Tape& tape, const Block& block, const Leaves& weights,
                    std::span<const Variable> inputs) {
  if (!tape.recording() || tape.decomposes()) return block(context, tape, weights, inputs);
  Tape evaluation(Tape::Mode::kEvaluate);
  const Tensor value = block(context, evaluation, weights, inputs).value;
  Recipe recipe{block, {}};
  for (const Variable& input : inputs) recipe.fed.push_back(input.id >= 0);
  const bool any = std::find(recipe.fed.begin(), recipe.fed.end(), true) != recipe.fed.end();
  const std::vector<Variable> kept(inputs.begin(), inputs.end());
  // Without inputs on the tape it is recorded all the same, for the leaves of the block.
  return tape.record(value, any ? kept : std::vector<Variable>{}, kept,
                     [recipe](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       recompute(context, recipe, grad.value, gradients);
                     });
}

}  // namespace reef::ops
