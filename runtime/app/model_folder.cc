#include "runtime/app/model_folder.h"

#include <algorithm>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "runtime/base/log.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;
using Find = std::function<const checkpoint::TensorView*(const std::string&)>;

Error unusable(const fs::path& folder, const std::string& why) {
  return {Code::kCheckpoint, folder.string(), "model configuration: " + why};
}

/// The sizes that the tensors do not show are read from the configuration, in GPT2Config's names.
Result<nn::GptConfig> config_from(const nlohmann::json& json, const fs::path& folder) {
  nn::GptConfig config;
  const std::pair<const char*, std::int64_t*> sizes[] = {
      {"vocab_size", &config.vocab_size}, {"n_positions", &config.n_positions},
      {"n_embd", &config.n_embd},         {"n_layer", &config.n_layer},
      {"n_head", &config.n_head},         {"n_inner", &config.n_inner}};
  if (!json.is_object()) return unusable(folder, "is not an object");
  for (const auto& [name, size] : sizes) {
    const auto field = json.find(name);
    // Absent or null: four times the width.
    if (size == &config.n_inner && (field == json.end() || field->is_null())) continue;
    if (field == json.end() || !field->is_number_integer())
      return unusable(folder, std::string(name) + " is not a whole number");
    *size = field->get<std::int64_t>();
  }
  const auto epsilon = json.find("layer_norm_epsilon");
  if (epsilon != json.end()) {
    if (!epsilon->is_number()) return unusable(folder, "layer_norm_epsilon is not a number");
    config.layer_norm_epsilon = epsilon->get<float>();
  }
  if (const std::string problem = nn::problem_of(config); !problem.empty())
    return unusable(folder, problem);
  return config;
}

/// Whether the file holds the parameter; asked before memory is taken for it.
bool holds(const checkpoint::TensorView* view, const nn::Parameter& parameter) {
  return view != nullptr && view->dtype == "F32" &&
         std::equal(view->shape.begin(), view->shape.end(), parameter.shape.begin(),
                    parameter.shape.end(), [](std::uint64_t there, std::int64_t wanted) {
                      return there == static_cast<std::uint64_t>(wanted);
                    });
}

Result<Model> build(ops::Context& context, const nlohmann::json& json, const Find& find,
                    const fs::path& folder) {
  ATOLL_ASSIGN(const nn::GptConfig config, config_from(json, folder));
  Model model{nn::gpt_spec(config), {}};
  for (const nn::Layer& layer : model.spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      const checkpoint::TensorView* view = find(parameter.name);
      if (!holds(view, parameter)) {
        return Error{Code::kCheckpoint, folder.string(),
                     "has no tensor '" + parameter.name + "' of the model's shape"};
      }
      auto tensor =
          ops::Tensor::empty(context.pool(), ops::DType::kF32, ops::Shape(parameter.shape));
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
