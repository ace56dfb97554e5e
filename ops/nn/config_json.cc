#include "ops/nn/config_json.h"

#include <charconv>
#include <type_traits>

namespace reef::nn {

namespace {

using nlohmann::json;

/// Calls visit(name, field) for each field of a family: the one list that reading and writing
/// share.
template <typename Config, typename Visit>
void each_gpt_field(Config& config, const Visit& visit) {
  visit("vocab_size", config.vocab_size);
  visit("n_positions", config.n_positions);
  visit("n_embd", config.n_embd);
  visit("n_layer", config.n_layer);
  visit("n_head", config.n_head);
  visit("n_inner", config.n_inner);
  visit("layer_norm_epsilon", config.layer_norm_epsilon);
  visit("embd_pdrop", config.embd_pdrop);
  visit("attn_pdrop", config.attn_pdrop);
  visit("resid_pdrop", config.resid_pdrop);
  visit("initializer_range", config.initializer_range);
}

template <typename Config, typename Visit>
void each_llama_field(Config& config, const Visit& visit) {
  visit("vocab_size", config.vocab_size);
  visit("hidden_size", config.hidden_size);
  visit("intermediate_size", config.intermediate_size);
  visit("num_hidden_layers", config.num_hidden_layers);
  visit("num_attention_heads", config.num_attention_heads);
  visit("num_key_value_heads", config.num_key_value_heads);
  visit("max_position_embeddings", config.max_position_embeddings);
  visit("rms_norm_eps", config.rms_norm_eps);
  visit("rope_theta", config.rope_theta);
  visit("tie_word_embeddings", config.tie_word_embeddings);
  visit("initializer_range", config.initializer_range);
}

class Reader {
 public:
  Reader(const json& from, Code code, const std::string& where)
      : from_(from), code_(code), where_(where) {}

  Result<ModelConfig> read() const {
    if (!from_.is_object()) return bad("is not an object");
    json family = from_.value("model_type", json());
    if (family.is_null()) family = from_.value("type", json());
    if (family == "gpt2") return gpt();
    if (family == "llama") return llama();
    if (!family.is_string()) return bad("has no model_type");
    return bad("model_type is " + family.dump(-1, ' ', true, json::error_handler_t::replace) +
               "; supported are gpt2 and llama");
  }

 private:
  Error bad(const std::string& what) const { return {code_, where_, what}; }

  Result<ModelConfig> gpt() const {
    // `name` must be absent, null or as here: else it would be another model than GPT-2.
    ATOLL_TRY(only("activation_function", "gelu_new"));
    ATOLL_TRY(only("tie_word_embeddings", true));
    ATOLL_TRY(only("scale_attn_weights", true));
    ATOLL_TRY(only("scale_attn_by_inverse_layer_idx", false));
    ATOLL_TRY(only("add_cross_attention", false));
    GptConfig config;
    Status status;
    each_gpt_field(config, [&](const char* name, auto& field) { take(name, field, status); });
    ATOLL_TRY(status);
    return ModelConfig(config);
  }

  Result<ModelConfig> llama() const {
    ATOLL_TRY(only("hidden_act", "silu"));
    ATOLL_TRY(only("attention_bias", false));
    ATOLL_TRY(only("mlp_bias", false));
    ATOLL_TRY(only("attention_dropout", 0));
    ATOLL_TRY(only("partial_rotary_factor", 1));
    ATOLL_TRY(unscaled("rope_scaling"));
    ATOLL_TRY(unscaled("rope_parameters"));
    LlamaConfig config;
    Status status;
    each_llama_field(config, [&](const char* name, auto& field) { take(name, field, status); });
    // Where transformers 5 keeps it.
    const json parameters = from_.value("rope_parameters", json());
    if (parameters.is_object()) {
      Reader(parameters, code_, where_).take("rope_theta", config.rope_theta, status);
    }
    ATOLL_TRY(status);
    if (problem_of(ModelConfig(config)).empty()) ATOLL_TRY(only("head_dim", config.head_size()));
    return ModelConfig(config);
  }

  template <typename T>
  void take(const char* name, T& field, Status& status) const {
    const auto found = from_.find(name);
    if (!status.ok() || found == from_.end() || found->is_null()) return;
    constexpr bool kWhole = std::is_same_v<T, std::int64_t>;
    constexpr bool kBool = std::is_same_v<T, bool>;
    if (kBool ? !found->is_boolean() : kWhole ? !found->is_number_integer() : !found->is_number()) {
      const char* wanted = kBool ? "true or false" : kWhole ? "a whole number" : "a number";
      status = bad(std::string(name) + " is not " + wanted);
      return;
    }
    field = found->get<T>();
  }

  Status only(const char* name, const json& supported) const {
    const auto found = from_.find(name);
    if (found == from_.end() || found->is_null() || *found == supported) return {};
    return bad(std::string(name) + " is not supported but as " + supported.dump());
  }

  /// Positions that are turned by the plain angles.
  Status unscaled(const char* name) const {
    const auto found = from_.find(name);
    if (found == from_.end() || found->is_null()) return {};
    const json type = found->is_object() ? found->value("rope_type", json("default")) : json();
    if (type == "default" && !found->contains("type")) return {};
    return bad(std::string(name) + " is not supported but with rope_type default");
  }

  const json& from_;
  Code code_;
  const std::string& where_;
};

/// So that 1e-5f is written as people would.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double wide = value;
  std::from_chars(text, end, wide);
  return wide;
}
template <typename T>
T shortest(T value) {
  return value;
}

}  // namespace

Result<ModelConfig> unchecked_config_from_json(const json& from, Code code,
                                               const std::string& where) {
  return Reader(from, code, where).read();
}

Result<ModelConfig> config_from_json(const json& from, Code code, const std::string& where) {
  ATOLL_ASSIGN(const ModelConfig config, unchecked_config_from_json(from, code, where));
  if (const std::string problem = problem_of(config); !problem.empty()) {
    return Error{code, where, problem};
  }
  return config;
}

json config_to_json(const ModelConfig& config) {
  json to = {{"type", family_of(config)}};
  const auto put = [&to](const char* name, const auto& field) { to[name] = shortest(field); };
  if (const auto* gpt = std::get_if<GptConfig>(&config)) {
    each_gpt_field(*gpt, put);
  } else {
    each_llama_field(std::get<LlamaConfig>(config), put);
  }
  return to;
}

}  // namespace reef::nn
