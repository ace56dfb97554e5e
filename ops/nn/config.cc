#include "ops/nn/config.h"

#include <initializer_list>
#include <utility>

namespace reef::nn {

namespace {

struct Named {
  const char* name;
  std::int64_t value;
};

bool is_probability(float p) { return p >= 0 && p < 1; }

/// Far above any model, low enough that no product of two overflows.
std::string problem_of_sizes(std::initializer_list<Named> sizes) {
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  for (const auto& [name, value] : sizes) {
    if (value < 1 || value > kMost) return std::string(name) + " must be in 1..2^24";
  }
  return "";
}

std::string problem_of_blocks(const Named& blocks) {
  if (blocks.value >= 1 && blocks.value <= 4096) return "";
  return std::string(blocks.name) + " must be in 1..4096";
}

std::string problem_of_parts(const Named& whole, const Named& parts) {
  if (whole.value % parts.value == 0) return "";
  return std::string(whole.name) + " " + std::to_string(whole.value) + " is not a multiple of " +
         parts.name + " " + std::to_string(parts.value);
}

/// The first that is not empty.
template <typename... Checks>
std::string first_problem(const Checks&... checks) {
  std::string problem;
  ((problem.empty() ? void(problem = checks()) : void()), ...);
  return problem;
}

std::string problem_of_gpt(const GptConfig& config) {
  return first_problem(
      [&] {
        return problem_of_sizes({{"vocab_size", config.vocab_size},
                                 {"n_positions", config.n_positions},
                                 {"n_embd", config.n_embd},
                                 {"n_head", config.n_head},
                                 {"n_inner", config.n_inner == 0 ? 1 : config.n_inner}});
      },
      [&] {
        return problem_of_blocks({"n_layer", config.n_layer});
      },
      [&] {
        return problem_of_parts({"n_embd", config.n_embd}, {"n_head", config.n_head});
      },
      [&]() -> std::string {
        if (!(config.layer_norm_epsilon > 0)) return "layer_norm_epsilon must be positive";
        if (!is_probability(config.embd_pdrop) || !is_probability(config.attn_pdrop) ||
            !is_probability(config.resid_pdrop)) {
          return "a dropout probability must be in [0, 1)";
        }
        if (!(config.initializer_range >= 0)) return "initializer_range must not be negative";
        return "";
      });
}

std::string problem_of_llama(const LlamaConfig& config) {
  return first_problem(
      [&] {
        return problem_of_sizes({{"vocab_size", config.vocab_size},
                                 {"hidden_size", config.hidden_size},
                                 {"intermediate_size", config.intermediate_size},
                                 {"num_attention_heads", config.num_attention_heads},
                                 {"num_key_value_heads",
                                  config.num_key_value_heads == 0 ? 1 : config.num_key_value_heads},
                                 {"max_position_embeddings", config.max_position_embeddings}});
      },
      [&] {
        return problem_of_blocks({"num_hidden_layers", config.num_hidden_layers});
      },
      [&] {
        return problem_of_parts({"hidden_size", config.hidden_size},
                                {"num_attention_heads", config.num_attention_heads});
      },
      [&] {
        return problem_of_parts({"num_attention_heads", config.num_attention_heads},
                                {"num_key_value_heads", config.key_value_heads()});
      },
      [&]() -> std::string {
        if (config.head_size() % 2 != 0) {
          return "a head has " + std::to_string(config.head_size()) +
                 " channels; rotary positions need an even number";
        }
        if (!(config.rms_norm_eps > 0)) return "rms_norm_eps must be positive";
        if (!(config.rope_theta >= 1 && config.rope_theta <= 1e12)) {
          return "rope_theta must be in 1..1e12";
        }
        if (!(config.initializer_range >= 0)) return "initializer_range must not be negative";
        return "";
      });
}

/// Asks the family's own function.
template <typename Gpt, typename Llama>
auto ask(const ModelConfig& config, const Gpt& gpt, const Llama& llama) {
  const auto* of_gpt = std::get_if<GptConfig>(&config);
  return of_gpt != nullptr ? gpt(*of_gpt) : llama(std::get<LlamaConfig>(config));
}

}  // namespace

std::string_view family_of(const ModelConfig& config) {
  return std::holds_alternative<GptConfig>(config) ? "gpt2" : "llama";
}

std::int64_t vocabulary_of(const ModelConfig& config) {
  return std::visit([](const auto& family) { return family.vocab_size; }, config);
}

std::int64_t width_of(const ModelConfig& config) {
  return ask(
      config, [](const GptConfig& gpt) { return gpt.n_embd; },
      [](const LlamaConfig& llama) { return llama.hidden_size; });
}

std::int64_t blocks_of(const ModelConfig& config) {
  return ask(
      config, [](const GptConfig& gpt) { return gpt.n_layer; },
      [](const LlamaConfig& llama) { return llama.num_hidden_layers; });
}

std::int64_t longest_context_of(const ModelConfig& config) {
  return ask(
      config, [](const GptConfig& gpt) { return gpt.n_positions; },
      [](const LlamaConfig& llama) { return llama.max_position_embeddings; });
}

std::string_view longest_context_name(const ModelConfig& config) {
  return std::holds_alternative<GptConfig>(config) ? "n_positions" : "max_position_embeddings";
}

std::string problem_of(const ModelConfig& config) {
  return ask(config, problem_of_gpt, problem_of_llama);
}

}  // namespace reef::nn
