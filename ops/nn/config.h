#pragma once
// What a model is, in the names of Hugging Face's configurations: a struct for each family, and
// what those who do not care for the family ask.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace reef::nn {

/// GPT-2, in the names of GPT2Config.
struct GptConfig {
  std::int64_t vocab_size = 256;
  std::int64_t n_positions = 128;
  std::int64_t n_embd = 192;
  std::int64_t n_layer = 4;
  std::int64_t n_head = 6;
  std::int64_t n_inner = 0;  ///< 0: 4 * n_embd
  float layer_norm_epsilon = 1e-5f;
  float embd_pdrop = 0;
  float attn_pdrop = 0;
  float resid_pdrop = 0;
  float initializer_range = 0.02f;

  std::int64_t inner() const { return n_inner > 0 ? n_inner : 4 * n_embd; }
  bool operator==(const GptConfig&) const = default;
};

/// Llama, in the names of LlamaConfig: RMS norms, rotary positions, grouped queries and a gated
/// feed-forward layer, nowhere a bias.
struct LlamaConfig {
  std::int64_t vocab_size = 256;
  std::int64_t hidden_size = 192;
  std::int64_t intermediate_size = 512;
  std::int64_t num_hidden_layers = 4;
  std::int64_t num_attention_heads = 6;
  std::int64_t num_key_value_heads = 0;  ///< 0: num_attention_heads
  std::int64_t max_position_embeddings = 128;
  float rms_norm_eps = 1e-6f;
  double rope_theta = 10000;
  bool tie_word_embeddings = false;
  float initializer_range = 0.02f;

  std::int64_t key_value_heads() const {
    return num_key_value_heads > 0 ? num_key_value_heads : num_attention_heads;
  }
  /// Channels of one head.
  std::int64_t head_size() const { return hidden_size / num_attention_heads; }
  bool operator==(const LlamaConfig&) const = default;
};

using ModelConfig = std::variant<GptConfig, LlamaConfig>;

/// "gpt2" or "llama": `model.type` of a job, `model_type` of a config.json.
std::string_view family_of(const ModelConfig& config);
std::int64_t vocabulary_of(const ModelConfig& config);
/// Channels of what goes from layer to layer.
std::int64_t width_of(const ModelConfig& config);
/// Blocks between embedding and head.
std::int64_t blocks_of(const ModelConfig& config);
/// The longest sequence, in tokens.
std::int64_t longest_context_of(const ModelConfig& config);
/// What the family calls that limit: "n_positions".
std::string_view longest_context_name(const ModelConfig& config);

/// The reason why no model can have this configuration, in one sentence; empty when one can.
std::string problem_of(const ModelConfig& config);

}  // namespace reef::nn
