#pragma once
// The folder that `transformers` loads: config.json and the weights as safetensors with published
// names, in one file or cut into several with an index. It is how a trained model leaves Atoll
// (huggingface_export.h) and how a foreign one enters.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/checkpoint/format/safetensors.h"
#include "ops/nn/config.h"
#include "ops/nn/spec.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

inline constexpr std::string_view kConfigFile = "config.json";
inline constexpr std::string_view kModelFile = "model.safetensors";
inline constexpr std::string_view kIndexFile = "model.safetensors.index.json";

/// A model read from such a folder. Memory: tensors are views of the mapped files, which move with
/// it.
struct HuggingFaceModel {
  nn::ModelConfig config;
  std::vector<SafetensorsFile> files;
  std::vector<TensorView> tensors;  ///< every parameter of the model, by name; F32, BF16 or F16

  /// Null when there is no such tensor.
  const TensorView* find(std::string_view name) const;
};

/// Accepts GPT-2's names with or without "transformer."; leaves out buffers that old files hold and
/// an lm_head.weight that equals the table of a tied head. Failure: kPath, or kCheckpoint saying
/// which tensor or field.
Result<HuggingFaceModel> load_folder(const std::filesystem::path& folder);

/// kCheckpoint unless `tensors` are exactly the parameters of `config`, each of its shape and of
/// one of `dtypes`.
Status check_tensors(const std::vector<TensorView>& tensors, const nn::ModelConfig& config,
                     std::span<const std::string_view> dtypes, const std::filesystem::path& where);

/// Whether there is such a tensor, of the parameter's shape and of a dtype that read_f32() reads.
bool holds(const TensorView* tensor, const nn::Parameter& parameter);

/// What config.json says of a model.
nlohmann::json config_document(const nn::ModelConfig& config);

/// The elements of an F32, BF16 or F16 tensor. Precondition: `to` has as many.
void read_f32(const TensorView& tensor, std::span<float> to);

}  // namespace reef::checkpoint
