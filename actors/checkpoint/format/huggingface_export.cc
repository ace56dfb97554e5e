#include "actors/checkpoint/format/huggingface_export.h"

#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "actors/checkpoint/format/huggingface.h"
#include "actors/checkpoint/format/shard_index.h"
#include "actors/data/format/staged_folder.h"
#include "actors/data/format/tokenizer.h"
#include "ops/nn/config_json.h"
#include "runtime/base/file.h"

namespace reef::checkpoint {
namespace fs = std::filesystem;
namespace {

// Marks a file of our own making in the metadata, which other readers pass over.
constexpr const char* kProducerKey = "producer";
constexpr const char* kProducer = "atoll";
constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";
constexpr std::array<std::string_view, 1> kDtypes{"F32"};

std::vector<TensorView> weights_of(const Checkpoint& checkpoint) {
  std::vector<TensorView> weights;
  for (const std::string& name : checkpoint.names()) {
    if (is_weight(name)) weights.push_back(*checkpoint.find(name));
  }
  return weights;
}

bool is_ours(const fs::path& folder, const std::string& name) {
  const auto file = SafetensorsFile::open(folder, name);
  if (!file.ok()) return false;
  const auto producer = file->metadata().find(kProducerKey);
  return producer != file->metadata().end() && producer->second == kProducer;
}

/// Free: absent, empty, or an earlier export of ours with nothing added to it.
Status check_free(const fs::path& out) {
  const Error refusal{Code::kPath, out.string(),
                      "exists with other content; remove it or choose another folder"};
  std::error_code failure;
  if (!fs::exists(fs::symlink_status(out, failure))) return {};
  if (!fs::is_directory(fs::symlink_status(out, failure))) return refusal;
  bool described = false, weights = false;
  for (fs::directory_iterator entry(out, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(".safetensors")) {
      if (!is_ours(out, name)) return refusal;
      weights = true;
    } else if (name == kConfigFile || name == kIndexFile || name == data::kTokenizerName ||
               name == kTokenizerConfig) {
      described = true;
    } else {
      return refusal;
    }
  }
  if (failure) return Error{Code::kPath, out.string(), "cannot list: " + failure.message()};
  return described && !weights ? Status(refusal) : Status();
}

/// In order, each group of at most `limit` bytes or a single tensor.
std::vector<std::vector<TensorView>> groups_of(const std::vector<TensorView>& weights,
                                               std::uint64_t limit) {
  std::vector<std::vector<TensorView>> groups(1);
  std::uint64_t bytes = 0;
  for (const TensorView& tensor : weights) {
    if (!groups.back().empty() && bytes + tensor.bytes.size() > limit) {
      groups.emplace_back();
      bytes = 0;
    }
    bytes += tensor.bytes.size();
    groups.back().push_back(tensor);
  }
  return groups;
}

Status write_weights(const fs::path& folder, const std::vector<TensorView>& weights,
                     std::uint64_t limit, const Metadata& metadata) {
  const std::vector<std::vector<TensorView>> groups = groups_of(weights, limit);
  if (groups.size() == 1) {
    ATOLL_TRY(write_safetensors(folder / kModelFile, weights, metadata));
    return {};
  }
  if (groups.size() > kMaxShards) {
    return Error{Code::kUsage, folder.string(),
                 "would need " + std::to_string(groups.size()) + " files; at most " +
                     std::to_string(kMaxShards) + " are read; choose a larger shard size"};
  }
  ShardIndex index;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, groups.size());
    ATOLL_TRY(write_safetensors(folder / name, groups[i], metadata));
    for (const TensorView& tensor : groups[i]) {
      index.file_of[tensor.name] = name;
      index.total_size += tensor.bytes.size();
    }
  }
  return write_file(folder / kIndexFile, as_bytes(to_json(index)));
}

/// tokenizer_config.json keeps transformers from guessing a class by the model's family, which
/// would add tokens of its own.
Status write_tokenizer(const fs::path& folder, const std::string& tokenizer,
                       const nn::ModelConfig& config) {
  if (tokenizer.empty()) return {};
  ATOLL_TRY(write_file(folder / data::kTokenizerName, as_bytes(tokenizer)));
  const nlohmann::json about = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                {"model_max_length", nn::longest_context_of(config)},
                                {"clean_up_tokenization_spaces", false}};
  return write_file(folder / kTokenizerConfig, as_bytes(about.dump(2) + "\n"));
}

}  // namespace

Status export_folder(const Checkpoint& checkpoint, const fs::path& out,
                     const ExportOptions& options) {
  const std::vector<TensorView> weights = weights_of(checkpoint);
  ATOLL_ASSIGN(const nn::ModelConfig config,
               nn::config_from_json(checkpoint.description().model, Code::kCheckpoint,
                                    checkpoint.folder().string()));
  ATOLL_TRY(check_tensors(weights, config, kDtypes, checkpoint.folder()));
  ATOLL_TRY(check_free(out));
  const Metadata metadata{{"format", "pt"},
                          {kProducerKey, kProducer},
                          {"atoll.job", checkpoint.description().job},
                          {"atoll.step", std::to_string(checkpoint.step())}};
  ATOLL_ASSIGN(data::StagedFolder folder, data::StagedFolder::create(out));
  ATOLL_TRY(write_weights(folder.path(), weights, options.shard_bytes, metadata));
  ATOLL_TRY(
      write_file(folder.path() / kConfigFile, as_bytes(config_document(config).dump(2) + "\n")));
  ATOLL_TRY(write_tokenizer(folder.path(), options.tokenizer, config));
  return folder.commit();
}

}  // namespace reef::checkpoint
