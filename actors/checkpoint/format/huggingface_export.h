#pragma once
// Writes a checkpoint's weights as the folder that `transformers` loads.

#include <cstdint>
#include <filesystem>
#include <string>

#include "actors/checkpoint/format/checkpoint.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

/// Where transformers begins a new file, too.
inline constexpr std::uint64_t kShardBytes = 5'000'000'000;

struct ExportOptions {
  /// Weights of more than this are cut into files of at most this, with an index; a larger tensor
  /// gets a file of its own.
  std::uint64_t shard_bytes = kShardBytes;
  std::string tokenizer;  ///< what the folder's tokenizer.json is to be; empty: none
};

/// Writes the weights (no moments) as F32 and the configuration that the checkpoint has of its
/// model. Replaces only a folder of its own making. Failure: kPath
/// for any other non-empty folder, kCheckpoint for tensors that are missing, foreign or of the
/// wrong shape.
Status export_folder(const Checkpoint& checkpoint, const std::filesystem::path& out,
                     const ExportOptions& options = {});

}  // namespace reef::checkpoint
