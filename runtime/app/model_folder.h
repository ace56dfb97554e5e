#pragma once
// A trained model read from disk, ready for the forward pass: from a checkpoint of ours or a
// Hugging Face folder.

#include <filesystem>
#include <optional>

#include "ops/nn/stage.h"

namespace reef::app {

struct Model {
  nn::ModelSpec spec;
  nn::Parameters weights;
};

/// Where the tokenizer of a model is that load_model() finds in `folder`: there, or in the run
/// folder that a checkpoint stands in. Nothing: bytes are its tokens.
std::optional<std::filesystem::path> tokenizer_of(const std::filesystem::path& folder);

/// `folder` is a checkpoint (step-...), a run folder (its newest whole checkpoint) or a Hugging
/// Face folder. Weights are rounded to what `precision` computes in. kCheckpoint or kPath naming
/// what is wrong.
Result<Model> load_model(ops::Context& context, const std::filesystem::path& folder,
                         nn::Precision precision = nn::Precision::kF32);

}  // namespace reef::app
