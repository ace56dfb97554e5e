#pragma once
// The folder that `transformers` loads: config.json and model.safetensors with GPT-2's names. It is
// how a trained model leaves Atoll and how a foreign one enters.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/safetensors.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

/// GPT-2's dimensions, in transformers' words.
struct Gpt2Shape {
  std::uint64_t vocab_size = 0;
  std::uint64_t n_positions = 0;
  std::uint64_t n_embd = 0;
  std::uint64_t n_layer = 0;
  std::uint64_t n_head = 0;
  double layer_norm_epsilon = 1e-5;

  bool operator==(const Gpt2Shape&) const = default;
};

/// Writes the weights (no moments) of a checkpoint as F32. Sizes are taken from the tensors; the
/// number of heads cannot be seen in them and is read from the checkpoint's model configuration, as
/// "n_head" or "heads" (and "layer_norm_epsilon", when present). Replaces only a folder of its own
/// making. Failure: kPath for any other non-empty folder, kCheckpoint for tensors that are missing,
/// foreign or of the wrong shape.
Status export_folder(const Checkpoint& checkpoint, const std::filesystem::path& out);

/// A model read from such a folder. Memory: tensors are views of the mapped file, which moves with
/// it.
struct HuggingFaceModel {
  nlohmann::json config;
  Gpt2Shape shape;
  SafetensorsFile file;
  std::vector<TensorView> tensors;  ///< names without "transformer."; F32, checked against `shape`
};

/// Accepts names with or without "transformer."; leaves out the causal-mask buffers old files hold
/// and a lm_head.weight that equals wte.weight (the head is tied). Failure: kPath, or kCheckpoint
/// saying which tensor or field.
Result<HuggingFaceModel> load_folder(const std::filesystem::path& folder);

}  // namespace reef::checkpoint
