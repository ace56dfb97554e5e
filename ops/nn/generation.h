#pragma once
// Text from a model: the next token is drawn, put behind the others, and so on.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ops/nn/pass.h"
#include "ops/nn/spec.h"
#include "ops/tensor/context.h"
#include "runtime/base/error.h"

namespace reef::nn {

/// How the next token is chosen: among the `top_k` most likely, and of these among the fewest that
/// have `top_p` of the probability together (Holtzman et al. 2019, arXiv 1904.09751), at a
/// temperature.
struct Sampling {
  double temperature = 0.8;  ///< 0: the most likely, of equals the first
  std::size_t top_k = 40;    ///< 0: all
  double top_p = 1;
};

/// `uniform` in [0, 1) decides. Precondition: the logits are finite, one at least.
std::int32_t choose(std::span<const float> logits, const Sampling& sampling, float uniform);

struct Generation {
  std::size_t tokens = 200;  ///< at most, a prompt
  Sampling sampling = {};
  std::uint64_t seed = 1;
  /// Tokens from this one on are never chosen: vocabularies are padded to round numbers. 0: all may
  /// be.
  std::size_t vocabulary = 0;
  std::optional<std::int32_t> end = {};  ///< a continuation is over behind it
  /// Whether it goes on beyond the model's longest context, with the latest tokens.
  bool beyond_context = true;
};

/// Called for each token as soon as it is chosen.
using Chosen = std::function<void(std::size_t prompt, std::int32_t token)>;

/// What follows each of the prompts, the end with it if it was reached. A pure function of model,
/// prompts and `how`: draw i for prompt p is the one at position (p, i), whoever computes it.
/// Prompts of one length are continued side by side. Precondition: tokens are in the vocabulary, no
/// prompt is empty. Failure: kPoison when the logits are not finite.
Result<std::vector<std::vector<std::int32_t>>> generate(
    ops::Context& context, const ModelSpec& spec, const Parameters& weights,
    const std::vector<std::vector<std::int32_t>>& prompts, const Generation& how,
    const Chosen& chosen = {});

}  // namespace reef::nn
