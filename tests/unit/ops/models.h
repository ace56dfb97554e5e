#pragma once
// Small models of both families with random weights.

#include <vector>

#include "ops/nn/stage.h"
#include "tests/unit/ops/support.h"

namespace reef::nn {

inline constexpr std::int64_t kSmallVocabulary = 131;
inline constexpr std::int64_t kSmallContext = 40;

/// GPT-2, and Llama with grouped queries and a tied or a free head. An initial range that lets
/// every part, and not only the residual path, matter.
inline std::vector<ModelSpec> small_models(Precision precision) {
  const GptConfig gpt{.vocab_size = kSmallVocabulary,
                      .n_positions = kSmallContext,
                      .n_embd = 48,
                      .n_layer = 3,
                      .n_head = 3,
                      .initializer_range = 0.2f};
  LlamaConfig llama{.vocab_size = kSmallVocabulary,
                    .hidden_size = 48,
                    .intermediate_size = 112,
                    .num_hidden_layers = 3,
                    .num_attention_heads = 6,
                    .num_key_value_heads = 3,
                    .max_position_embeddings = kSmallContext,
                    .initializer_range = 0.2f};
  std::vector<ModelSpec> specs{model_spec(gpt, precision), model_spec(llama, precision)};
  llama.tie_word_embeddings = true;
  llama.num_key_value_heads = 1;
  specs.push_back(model_spec(llama, precision));
  return specs;
}

inline Parameters random_weights(const ModelSpec& spec) {
  ops::ThreadPool context(1);
  Parameters weights;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& p : layer.parameters) {
      weights[p.name] = ops::cast(context, initial_value(p, 5), p.dtype);
    }
  }
  return weights;
}

}  // namespace reef::nn
