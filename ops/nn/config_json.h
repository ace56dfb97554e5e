#pragma once
// A model's configuration as JSON, in Hugging Face's names: as a job, a checkpoint's manifest and a
// config.json have it.

#include <nlohmann/json.hpp>
#include <string>

#include "ops/nn/config.h"
#include "runtime/base/error.h"

namespace reef::nn {

/// Reads what stands under the family's names and passes over names that do not change what the
/// model computes. The family is "type" or "model_type". The Error has `code`, names `where` and
/// the field: one of a wrong type, a size that cannot be, or a variant of the family that is not
/// supported (another activation, biases, scaled positions).
Result<ModelConfig> config_from_json(const nlohmann::json& json, Code code,
                                     const std::string& where);
/// The same for who asks problem_of() itself, to complain in more detail.
Result<ModelConfig> unchecked_config_from_json(const nlohmann::json& json, Code code,
                                               const std::string& where);

/// Every field of the configuration, and "type".
nlohmann::json config_to_json(const ModelConfig& config);

}  // namespace reef::nn
