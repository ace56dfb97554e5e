#include "actors/checkpoint/format/huggingface.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "actors/checkpoint/format/shard_index.h"
#include "actors/data/format/strict_json.h"
#include "ops/nn/config_json.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/check.h"
#include "runtime/base/file.h"

namespace reef::checkpoint {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::string_view kGptPrefix = "transformer.";
constexpr std::string_view kHead = "lm_head.weight";
constexpr std::array<std::string_view, 3> kDtypes{"F32", "BF16", "F16"};

Error bad(const fs::path& where, const std::string& what) {
  return {Code::kCheckpoint, where.string(), what};
}

bool has_shape(const TensorView& tensor, const nn::Parameter& parameter) {
  return std::ranges::equal(tensor.shape, nn::whole_shape(parameter),
                            [](std::uint64_t there, std::int64_t wanted) {
                              return there == static_cast<std::uint64_t>(wanted);
                            });
}

Result<nn::ModelConfig> read_config(const fs::path& folder) {
  const fs::path path = folder / kConfigFile;
  ATOLL_ASSIGN(const std::string text, read_file(path, 1 << 20));
  ATOLL_ASSIGN(const json config, data::parse_json(text, Code::kCheckpoint, path.string()));
  return nn::config_from_json(config, Code::kCheckpoint, path.string());
}

/// A model in the Hugging Face cache is a link to a blob, and this folder is named by the user.
Result<SafetensorsFile> open_file(const fs::path& path) {
  std::error_code failure;
  const fs::path real = fs::canonical(path, failure);
  if (failure) return Error{Code::kPath, path.string(), "cannot open: " + failure.message()};
  return SafetensorsFile::open(real);
}

/// The files of the index, which must hold what it says and nothing else.
Result<std::vector<SafetensorsFile>> open_shards(const fs::path& folder) {
  const fs::path path = folder / kIndexFile;
  ATOLL_ASSIGN(const std::string text, read_file(path, kMaxIndexBytes));
  ATOLL_ASSIGN(const ShardIndex index, parse_shard_index(text, path.string()));
  std::vector<SafetensorsFile> files;
  std::size_t found = 0;
  for (const std::string& name : index.files()) {
    ATOLL_ASSIGN(SafetensorsFile file, open_file(folder / name));
    for (const TensorView& tensor : file.tensors()) {
      const auto entry = index.file_of.find(tensor.name);
      if (entry == index.file_of.end() || entry->second != name) {
        return bad(path, "does not say that '" + tensor.name + "' is in " + name);
      }
    }
    found += file.tensors().size();
    files.push_back(std::move(file));
  }
  if (found != index.file_of.size()) {
    return bad(path, "names tensors that are not in their files");
  }
  return files;
}

Result<std::vector<SafetensorsFile>> open_files(const fs::path& folder) {
  std::error_code failure;
  if (!fs::exists(folder / kModelFile, failure) && fs::exists(folder / kIndexFile, failure)) {
    return open_shards(folder);
  }
  ATOLL_ASSIGN(SafetensorsFile file, open_file(folder / kModelFile));
  std::vector<SafetensorsFile> files;
  files.push_back(std::move(file));
  return files;
}

/// Tensors that old files hold and that follow from the configuration.
bool is_buffer(std::string_view name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

bool same_content(const TensorView& a, const TensorView& b) {
  return a.dtype == b.dtype && std::ranges::equal(a.bytes, b.bytes);
}

/// The name of the tensor that the head uses, if it is another layer's.
std::optional<std::string> tied_table(const nn::ModelConfig& config) {
  const std::vector<std::string> tied = nn::model_spec(config).layers.back().tied;
  return tied.empty() ? std::nullopt : std::optional(tied.front());
}

Result<std::vector<TensorView>> model_tensors(const std::vector<SafetensorsFile>& files,
                                              const nn::ModelConfig& config,
                                              const fs::path& where) {
  const std::optional<std::string> table = tied_table(config);
  const bool gpt = std::holds_alternative<nn::GptConfig>(config);
  std::vector<TensorView> tensors;
  const TensorView* head = nullptr;
  for (const SafetensorsFile& file : files) {
    for (const TensorView& tensor : file.tensors()) {
      std::string_view name = tensor.name;
      if (gpt && name.starts_with(kGptPrefix)) name.remove_prefix(kGptPrefix.size());
      if (is_buffer(name)) continue;
      if (table && name == kHead) {
        head = &tensor;
        continue;
      }
      tensors.push_back(tensor);
      tensors.back().name = name;
    }
  }
  std::ranges::sort(tensors, {}, &TensorView::name);
  if (head == nullptr) return tensors;
  const auto embedding = std::ranges::lower_bound(tensors, *table, {}, &TensorView::name);
  if (embedding == tensors.end() || embedding->name != *table || !same_content(*head, *embedding)) {
    return bad(where, std::string(kHead) + " differs from " + *table +
                          ", though the configuration ties the head to it");
  }
  return tensors;
}

}  // namespace

const TensorView* HuggingFaceModel::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors, name, {}, &TensorView::name);
  return found == tensors.end() || found->name != name ? nullptr : &*found;
}

bool holds(const TensorView* tensor, const nn::Parameter& parameter) {
  return tensor != nullptr && has_shape(*tensor, parameter) &&
         std::ranges::find(kDtypes, tensor->dtype) != kDtypes.end();
}

Status check_tensors(const std::vector<TensorView>& tensors, const nn::ModelConfig& config,
                     std::span<const std::string_view> dtypes, const fs::path& where) {
  std::map<std::string, nn::Parameter, std::less<>> missing;
  for (nn::Layer& layer : nn::model_spec(config).layers) {
    for (nn::Parameter& parameter : layer.parameters) missing[parameter.name] = parameter;
  }
  for (const TensorView& tensor : tensors) {
    const auto expected = missing.find(tensor.name);
    if (expected == missing.end()) {
      return bad(where, "tensor '" + tensor.name + "' does not belong to this " +
                            std::string(nn::family_of(config)) + " model, or stands twice");
    }
    if (std::ranges::find(dtypes, tensor.dtype) == dtypes.end()) {
      std::string known;
      for (const std::string_view dtype : dtypes)
        known += (known.empty() ? "" : ", ") + std::string(dtype);
      return bad(where, "tensor '" + tensor.name + "' is " + tensor.dtype + "; read are " + known);
    }
    if (!has_shape(tensor, expected->second)) {
      return bad(where, "tensor '" + tensor.name + "' has shape " + json(tensor.shape).dump() +
                            "; expected " + json(expected->second.shape).dump());
    }
    missing.erase(expected);
  }
  if (missing.empty()) return {};
  return bad(where, "tensor '" + missing.begin()->first + "' is missing");
}

json config_document(const nn::ModelConfig& config) {
  json document = nn::config_to_json(config);
  document.erase("type");
  document["model_type"] = nn::family_of(config);
  json extra;
  if (const auto* gpt = std::get_if<nn::GptConfig>(&config)) {
    extra = {{"architectures", {"GPT2LMHeadModel"}},
             {"n_ctx", gpt->n_positions},
             {"activation_function", "gelu_new"},
             {"scale_attn_weights", true},
             {"tie_word_embeddings", true}};
    if (gpt->n_inner == 0) extra["n_inner"] = nullptr;
  } else {
    const auto& llama = std::get<nn::LlamaConfig>(config);
    extra = {{"architectures", {"LlamaForCausalLM"}},
             {"num_key_value_heads", llama.key_value_heads()},
             {"hidden_act", "silu"},
             {"attention_bias", false},
             {"attention_dropout", 0.0},
             {"mlp_bias", false},
             {"rope_scaling", nullptr}};
  }
  document.update(extra);
  document.update({{"use_cache", true},
                   {"bos_token_id", nullptr},
                   {"eos_token_id", nullptr},
                   {"torch_dtype", "float32"}});
  return document;
}

Result<HuggingFaceModel> load_folder(const fs::path& folder) {
  ATOLL_ASSIGN(const nn::ModelConfig config, read_config(folder));
  ATOLL_ASSIGN(std::vector<SafetensorsFile> files, open_files(folder));
  ATOLL_ASSIGN(std::vector<TensorView> tensors, model_tensors(files, config, folder));
  ATOLL_TRY(check_tensors(tensors, config, kDtypes, folder));
  return HuggingFaceModel{config, std::move(files), std::move(tensors)};
}

void read_f32(const TensorView& tensor, std::span<float> to) {
  CHECK_EQ(tensor.bytes.size(), to.size() * dtype_size(tensor.dtype));
  if (tensor.dtype == "F32") {
    std::ranges::copy(tensor.bytes, std::as_writable_bytes(to).begin());
    return;
  }
  const bool brain = tensor.dtype == "BF16";
  for (std::size_t i = 0; i < to.size(); ++i) {
    const auto bits = load<std::uint16_t>(tensor.bytes.data() + 2 * i);
    to[i] = brain ? ops::BF16{bits}.value() : ops::F16{bits}.value();
  }
}

}  // namespace reef::checkpoint
