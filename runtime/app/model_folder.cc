#include "runtime/app/model_folder.h"

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "runtime/base/log.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;
using Find = std::function<const checkpoint::TensorView*(const std::string&)>;

/// The sizes that the tensors do not show are read from the configuration, in GPT2Config's names.
Result<nn::GptConfig> config_from(const nlohmann::json& json, const fs::path& folder) {
  nn::GptConfig config;
  try {
    config.vocab_size = json.at("vocab_size");
    config.n_positions = json.at("n_positions");
    config.n_embd = json.at("n_embd");
    config.n_layer = json.at("n_layer");
    config.n_head = json.at("n_head");
    if (json.contains("n_inner") && json["n_inner"].is_number()) config.n_inner = json["n_inner"];
    config.layer_norm_epsilon = json.value("layer_norm_epsilon", config.layer_norm_epsilon);
  } catch (const nlohmann::json::exception& failure) {
    return Error{Code::kCheckpoint, folder.string(),
                 std::string("model configuration: ") + failure.what()};
  }
  const auto small = [](std::int64_t value) { return value > 0 && value <= (1 << 20); };
  if (!small(config.vocab_size) || !small(config.n_positions) || !small(config.n_embd) ||
      !small(config.n_layer) || !small(config.n_head) || config.n_inner < 0 ||
      config.n_embd % config.n_head != 0) {
    return Error{Code::kCheckpoint, folder.string(),
                 "model configuration has sizes that cannot be"};
  }
  return config;
}

Result<Model> build(ops::Context& context, const nlohmann::json& json, const Find& find,
                    const fs::path& folder) {
  ATOLL_ASSIGN(const nn::GptConfig config, config_from(json, folder));
  Model model{nn::gpt_spec(config), {}};
  for (const nn::Layer& layer : model.spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      const checkpoint::TensorView* view = find(parameter.name);
      auto tensor =
          ops::Tensor::empty(context.pool(), ops::DType::kF32, ops::Shape(parameter.shape));
      if (view == nullptr || view->dtype != "F32" || view->bytes.size() != tensor.size_bytes()) {
        return Error{Code::kCheckpoint, folder.string(),
                     "has no tensor '" + parameter.name + "' of the model's shape"};
      }
      std::copy(view->bytes.begin(), view->bytes.end(), tensor.bytes().begin());
      model.weights[parameter.name] = tensor;
    }
  }
  return model;
}

Result<Model> from_checkpoint(ops::Context& context, const checkpoint::Checkpoint& checkpoint) {
  return build(
      context, checkpoint.description().model,
      [&checkpoint](const std::string& name) { return checkpoint.find(name); },
      checkpoint.folder());
}

}  // namespace

Result<Model> load_model(ops::Context& context, const fs::path& folder) {
  if (fs::exists(folder / "config.json")) {
    ATOLL_ASSIGN(const auto foreign, checkpoint::load_folder(folder));
    const auto find = [&foreign](const std::string& name) -> const checkpoint::TensorView* {
      for (const auto& tensor : foreign.tensors) {
        if (tensor.name == name) return &tensor;
      }
      return nullptr;
    };
    return build(context, foreign.config, find, folder);
  }
  if (fs::exists(folder / "checkpoints")) {
    std::vector<Error> skipped;
    ATOLL_ASSIGN(const auto newest, checkpoint::latest(folder / "checkpoints", &skipped));
    for (const Error& error : skipped) log_warning("passed over: " + error.text());
    if (!newest) return Error{Code::kCheckpoint, folder.string(), "holds no checkpoint yet"};
    return from_checkpoint(context, *newest);
  }
  ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(folder));
  return from_checkpoint(context, checkpoint);
}

}  // namespace reef::app
