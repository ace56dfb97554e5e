#include "ops/nn/config_json.h"

#include <gtest/gtest.h>

namespace reef::nn {
namespace {

using nlohmann::json;

Result<ModelConfig> read(const json& from) {
  return config_from_json(from, Code::kCheckpoint, "here");
}

TEST(ConfigJson, ComesBackAsItWas) {
  const GptConfig gpt{.vocab_size = 7, .n_embd = 12, .n_head = 2, .attn_pdrop = 0.25f};
  const LlamaConfig llama{.hidden_size = 24,
                          .num_attention_heads = 4,
                          .num_key_value_heads = 2,
                          .rms_norm_eps = 1e-5f,
                          .rope_theta = 500000,
                          .tie_word_embeddings = true};
  for (const ModelConfig& config : {ModelConfig(gpt), ModelConfig(llama)}) {
    const auto again = read(config_to_json(config));
    ASSERT_TRUE(again.ok()) << again.error().text();
    EXPECT_EQ(*again, config);
  }
}

TEST(ConfigJson, ReadsWhatTransformersWrites) {
  const auto gpt = read({{"model_type", "gpt2"}, {"n_inner", nullptr}, {"n_ctx", 1024}});
  ASSERT_TRUE(gpt.ok()) << gpt.error().text();
  EXPECT_EQ(*gpt, ModelConfig(GptConfig()));
  const auto llama = read({{"model_type", "llama"},
                           {"rope_scaling", nullptr},
                           {"hidden_act", "silu"},
                           {"head_dim", 32},
                           {"num_key_value_heads", nullptr}});
  ASSERT_TRUE(llama.ok()) << llama.error().text();
  EXPECT_EQ(*llama, ModelConfig(LlamaConfig()));
  const auto newer = read({{"model_type", "llama"},
                           {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}}}});
  ASSERT_TRUE(newer.ok()) << newer.error().text();
  EXPECT_EQ(std::get<LlamaConfig>(*newer).rope_theta, 5e5);
}

TEST(ConfigJson, RefusesByNameWhatItDoesNotSupport) {
  const std::pair<const char*, json> rows[] = {
      {"activation_function", {{"type", "gpt2"}, {"activation_function", "relu"}}},
      {"tie_word_embeddings", {{"type", "gpt2"}, {"tie_word_embeddings", false}}},
      {"scale_attn_weights", {{"type", "gpt2"}, {"scale_attn_weights", false}}},
      {"n_head", {{"type", "gpt2"}, {"n_head", 5}}},
      {"n_layer", {{"type", "gpt2"}, {"n_layer", 5000}}},
      {"n_embd", {{"type", "gpt2"}, {"n_embd", 1.5}}},
      {"vocab_size", {{"type", "gpt2"}, {"vocab_size", ~std::uint64_t{0}}}},
      {"hidden_act", {{"type", "llama"}, {"hidden_act", "gelu"}}},
      {"attention_bias", {{"type", "llama"}, {"attention_bias", true}}},
      {"mlp_bias", {{"type", "llama"}, {"mlp_bias", true}}},
      {"attention_dropout", {{"type", "llama"}, {"attention_dropout", 0.1}}},
      {"head_dim", {{"type", "llama"}, {"head_dim", 64}}},
      {"rope_scaling", {{"type", "llama"}, {"rope_scaling", {{"rope_type", "llama3"}}}}},
      {"rope_scaling", {{"type", "llama"}, {"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}},
      {"rope_parameters", {{"type", "llama"}, {"rope_parameters", {{"rope_type", "yarn"}}}}},
      {"rope_theta", {{"type", "llama"}, {"rope_theta", 0}}},
      {"tie_word_embeddings", {{"type", "llama"}, {"tie_word_embeddings", 1}}},
      {"num_key_value_heads", {{"type", "llama"}, {"num_key_value_heads", 4}}},
      {"mistral", {{"model_type", "mistral"}}},
      {"model_type", json::object()},
      {"object", json::array()},
  };
  for (const auto& [name, from] : rows) {
    const auto config = read(from);
    ASSERT_FALSE(config.ok()) << from;
    EXPECT_EQ(config.error().code, Code::kCheckpoint);
    EXPECT_EQ(config.error().where, "here");
    EXPECT_NE(config.error().what.find(name), std::string::npos) << config.error().what;
  }
}

}  // namespace
}  // namespace reef::nn
