#include "runtime/app/model_folder.h"

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "actors/data/format/tokenizer.h"
#include "ops/nn/config_json.h"
#include "runtime/base/log.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;
using Find = std::function<const checkpoint::TensorView*(const std::string&)>;

Result<Model> build(ops::Context& context, const nn::ModelConfig& config, nn::Precision precision,
                    const Find& find, const fs::path& folder) {
  Model model{nn::model_spec(config, precision), {}};
  for (const nn::Layer& layer : model.spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      const checkpoint::TensorView* view = find(parameter.name);
      // Asked before memory is taken for it.
      if (!checkpoint::holds(view, parameter)) {
        return Error{Code::kCheckpoint, folder.string(),
                     "has no tensor '" + parameter.name + "' of the model's shape"};
      }
      auto tensor =
          ops::Tensor::empty(context.pool(), ops::DType::kF32, ops::Shape(parameter.shape));
      checkpoint::read_f32(*view, tensor.values<float>());
      model.weights[parameter.name] = ops::cast(context, tensor, parameter.dtype);
    }
  }
  return model;
}

Result<Model> from_checkpoint(ops::Context& context, const checkpoint::Checkpoint& checkpoint,
                              nn::Precision precision) {
  ATOLL_ASSIGN(const nn::ModelConfig config,
               nn::config_from_json(checkpoint.description().model, Code::kCheckpoint,
                                    checkpoint.folder().string()));
  return build(
      context, config, precision,
      [&checkpoint](const std::string& name) { return checkpoint.find(name); },
      checkpoint.folder());
}

}  // namespace

std::optional<fs::path> tokenizer_of(const fs::path& folder) {
  std::error_code failure;
  fs::path home = fs::weakly_canonical(folder, failure);
  if (home.filename().empty()) home = home.parent_path();
  // runs/x/checkpoints/step-00000400
  if (home.filename().string().starts_with("step-")) home = home.parent_path().parent_path();
  if (!fs::exists(home / data::kTokenizerName, failure)) return std::nullopt;
  return home / data::kTokenizerName;
}

Result<Model> load_model(ops::Context& context, const fs::path& folder, nn::Precision precision) {
  if (fs::exists(folder / "config.json")) {
    ATOLL_ASSIGN(const auto foreign, checkpoint::load_folder(folder));
    return build(
        context, foreign.config, precision,
        [&foreign](const std::string& name) { return foreign.find(name); }, folder);
  }
  if (fs::exists(folder / "checkpoints")) {
    std::vector<Error> skipped;
    ATOLL_ASSIGN(const auto newest, checkpoint::latest(folder / "checkpoints", &skipped));
    for (const Error& error : skipped) log_warning("passed over: " + error.text());
    if (!newest) return Error{Code::kCheckpoint, folder.string(), "holds no checkpoint yet"};
    return from_checkpoint(context, *newest, precision);
  }
  ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(folder));
  return from_checkpoint(context, checkpoint, precision);
}

}  // namespace reef::app
