#pragma once
// The forward pass of one micro-batch through the layers of a family.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/autograd/tape.h"
#include "ops/catalog/attributes.h"
#include "ops/nn/context_share.h"
#include "ops/nn/spec.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/check.h"

namespace reef::nn {

/// By logical name: weights in their parameter's dtype, or gradients in f32. Canonical order is
/// name order.
using Parameters = std::map<std::string, ops::Tensor>;

/// Where the micro-batch stands in the job, for dropout. `first_sample` is the global index of its
/// first row; without `training` nothing is dropped. `first_position` is where the tokens begin in
/// sequences of which earlier ones have passed before (decoder.h); 0 where ranks share sequences.
struct Sample {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t first_sample = 0;
  bool training = true;
  ContextShare share = {};  ///< of its sequences that is here
  std::int64_t first_position = 0;

  bool from_the_start() const { return share.is_whole() && first_position == 0; }
};

/// What all layers of a stage share during the pass.
struct Pass {
  ops::Context& context;
  ops::Tape& tape;
  const Parameters& weights;
  const Sample& sample;
  TensorRank tensor = {};

  ops::Variable leaf(const std::string& name) { return tape.leaf(name, name, weight(name)); }
  /// A use of another layer's parameter, whose gradient has a name of its own.
  ops::Variable tied_leaf(const std::string& name) {
    return tape.leaf(use_name(name), name, weight(name));
  }
  /// `op` numbers the dropouts of the whole model, so that a cut does not change the draws.
  ops::Draw draw(float probability, std::uint64_t op) const {
    return {sample.training ? probability : 0.0f, sample.seed, sample.step, op,
            sample.first_sample};
  }
  /// Where the `length` tokens of each sequence stand that are here.
  std::vector<ops::Run> positions(std::int64_t length) const {
    if (sample.first_position > 0) return {{sample.first_position, length}};
    return sample.share.runs(length * sample.share.ranks);
  }

 private:
  const ops::Tensor& weight(const std::string& name) const {
    const auto found = weights.find(name);
    CHECK(found != weights.end()) << "no weight '" << name << "'";
    return found->second;
  }
};

/// The rows of the tokens i32 (B, T) in a table of which a rank holds some; of those that it does
/// not hold, zeros. (B, T, C).
ops::Variable embed_held(Pass& pass, const Parameter& table, const ops::Tensor& tokens);

/// Runs `layer` on x: tokens i32 (B, T) for the embedding, else hidden (B, T, C). Gives hidden, or
/// logits f32 (B, T, V). A rank of several gives its summand of hidden, or its columns of the
/// logits; what is added once (the residual path, biases behind a sum) the first rank adds.
ops::Variable gpt_forward(Pass& pass, const GptConfig& config, const Layer& layer,
                          const ops::Variable& x);
ops::Variable llama_forward(Pass& pass, const LlamaConfig& config, const Layer& layer,
                            const ops::Variable& x);

// An attention layer without its middle, which is a ring's where ranks share sequences: what comes
// before, and what follows.

/// x (B, L, C) -> queries, keys and values side by side, (B, L, H + 2 G, D).
ops::Variable gpt_open(Pass& pass, const GptConfig& config, const Layer& layer,
                       const ops::Variable& x);
ops::Variable llama_open(Pass& pass, const LlamaConfig& config, const Layer& layer,
                         const ops::Variable& x);
/// attended (B, L, H, D) and the layer's input x -> the layer's output (B, L, C).
ops::Variable gpt_close(Pass& pass, const GptConfig& config, const Layer& layer,
                        const ops::Variable& attended, const ops::Variable& x);
ops::Variable llama_close(Pass& pass, const LlamaConfig& config, const Layer& layer,
                          const ops::Variable& attended, const ops::Variable& x);

}  // namespace reef::nn
