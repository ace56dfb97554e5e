#include "actors/checkpoint/format/huggingface.h"

#include <algorithm>
#include <map>
#include <utility>

#include "actors/data/format/staged_folder.h"
#include "actors/data/format/strict_json.h"
#include "runtime/base/file.h"

namespace reef::checkpoint {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::string_view kModelFile = "model.safetensors";
constexpr std::string_view kConfigFile = "config.json";
constexpr std::string_view kPrefix = "transformer.";
constexpr std::uint64_t kMaxDimension = std::uint64_t{1} << 31;
constexpr std::uint64_t kMaxLayers = 10'000;
// Marks a folder of our own making in the metadata, which other readers pass over.
constexpr const char* kProducerKey = "producer";
constexpr const char* kProducer = "atoll";

using Shapes = std::map<std::string, std::vector<std::uint64_t>, std::less<>>;

Error bad(const fs::path& where, const std::string& what) {
  return {Code::kCheckpoint, where.string(), what};
}

void add_layer(Shapes& shapes, const std::string& layer, std::uint64_t width) {
  for (const char* norm : {"ln_1", "ln_2"}) {
    shapes[layer + norm + ".weight"] = {width};
    shapes[layer + norm + ".bias"] = {width};
  }
  const auto linear = [&](const char* name, std::uint64_t in, std::uint64_t out) {
    shapes[layer + name + ".weight"] = {in, out};
    shapes[layer + name + ".bias"] = {out};
  };
  linear("attn.c_attn", width, 3 * width);
  linear("attn.c_proj", width, width);
  linear("mlp.c_fc", width, 4 * width);
  linear("mlp.c_proj", 4 * width, width);
}

/// Every tensor of a GPT-2 of this shape; matrices are stored [in, out].
Shapes gpt2_tensors(const Gpt2Shape& shape) {
  Shapes shapes;
  shapes["wte.weight"] = {shape.vocab_size, shape.n_embd};
  shapes["wpe.weight"] = {shape.n_positions, shape.n_embd};
  shapes["ln_f.weight"] = {shape.n_embd};
  shapes["ln_f.bias"] = {shape.n_embd};
  for (std::uint64_t i = 0; i < shape.n_layer; ++i) {
    add_layer(shapes, "h." + std::to_string(i) + ".", shape.n_embd);
  }
  return shapes;
}

/// Exactly the tensors of `shape`, all of them F32.
Status check_tensors(const std::vector<TensorView>& tensors, const Gpt2Shape& shape,
                     const fs::path& where) {
  Shapes missing = gpt2_tensors(shape);
  for (const TensorView& tensor : tensors) {
    const auto expected = missing.find(tensor.name);
    if (expected == missing.end()) {
      return bad(where, "tensor '" + tensor.name + "' does not belong to this GPT-2");
    }
    if (tensor.dtype != "F32") {
      return bad(where, "tensor '" + tensor.name + "' is " + tensor.dtype + "; only F32 is read");
    }
    if (tensor.shape != expected->second) {
      return bad(where, "tensor '" + tensor.name + "' has shape " + json(tensor.shape).dump() +
                            "; expected " + json(expected->second).dump());
    }
    missing.erase(expected);
  }
  if (missing.empty()) return {};
  return bad(where, "tensor '" + missing.begin()->first + "' is missing");
}

Status check_shape(const Gpt2Shape& shape, const fs::path& where) {
  if (shape.n_head == 0 || shape.n_embd % shape.n_head != 0) {
    return bad(where, std::to_string(shape.n_embd) + " channels do not divide by " +
                          std::to_string(shape.n_head) + " heads");
  }
  return {};
}

// ---- export

const TensorView* find_matrix(const std::vector<TensorView>& tensors, std::string_view name) {
  for (const TensorView& tensor : tensors) {
    if (tensor.name == name && tensor.shape.size() == 2) return &tensor;
  }
  return nullptr;
}

std::uint64_t count_layers(const std::vector<TensorView>& tensors) {
  return static_cast<std::uint64_t>(
      std::count_if(tensors.begin(), tensors.end(), [](const TensorView& tensor) {
        return tensor.name.starts_with("h.") && tensor.name.ends_with(".ln_1.weight");
      }));
}

Result<Gpt2Shape> shape_of(const std::vector<TensorView>& tensors, const json& model,
                           const fs::path& where) {
  const TensorView* wte = find_matrix(tensors, "wte.weight");
  const TensorView* wpe = find_matrix(tensors, "wpe.weight");
  if (wte == nullptr || wpe == nullptr) return bad(where, "has no matrix wte.weight or wpe.weight");
  const json heads =
      model.is_object() ? model.value("n_head", model.value("heads", json())) : json();
  if (!heads.is_number_unsigned()) {
    return bad(where, "its model configuration does not say 'n_head' or 'heads'");
  }
  Gpt2Shape shape{.vocab_size = wte->shape[0],
                  .n_positions = wpe->shape[0],
                  .n_embd = wte->shape[1],
                  .n_layer = count_layers(tensors),
                  .n_head = heads.get<std::uint64_t>()};
  const json epsilon = model.value("layer_norm_epsilon", json());
  if (epsilon.is_number()) shape.layer_norm_epsilon = epsilon.get<double>();
  ATOLL_TRY(check_shape(shape, where));
  return shape;
}

std::string_view without_prefix(std::string_view name) {
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

std::vector<TensorView> weights_of(const Checkpoint& checkpoint) {
  std::vector<TensorView> weights;
  for (const std::string& name : checkpoint.names()) {
    if (!is_weight(name)) continue;
    weights.push_back(*checkpoint.find(name));
    weights.back().name = without_prefix(name);
  }
  return weights;
}

json gpt2_config(const Gpt2Shape& shape) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"vocab_size", shape.vocab_size},
          {"n_positions", shape.n_positions},
          {"n_ctx", shape.n_positions},
          {"n_embd", shape.n_embd},
          {"n_layer", shape.n_layer},
          {"n_head", shape.n_head},
          {"n_inner", nullptr},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", shape.layer_norm_epsilon},
          {"initializer_range", 0.02},
          {"resid_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"attn_pdrop", 0.0},
          {"scale_attn_weights", true},
          {"use_cache", true},
          {"tie_word_embeddings", true},
          {"bos_token_id", nullptr},
          {"eos_token_id", nullptr},
          {"torch_dtype", "float32"}};
}

/// Free: absent, empty, or an earlier export of ours with nothing added to it.
Status check_free(const fs::path& out) {
  const Error refusal{Code::kPath, out.string(),
                      "exists with other content; remove it or choose another folder"};
  std::error_code failure;
  if (!fs::exists(fs::symlink_status(out, failure))) return {};
  if (!fs::is_directory(fs::symlink_status(out, failure))) return refusal;
  bool empty = true;
  for (fs::directory_iterator entry(out, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name != kModelFile && name != kConfigFile) return refusal;
    empty = false;
  }
  if (failure) return Error{Code::kPath, out.string(), "cannot list: " + failure.message()};
  if (empty) return {};
  const auto model = SafetensorsFile::open(out, kModelFile);
  if (!model.ok()) return refusal;
  const auto producer = model->metadata().find(kProducerKey);
  if (producer == model->metadata().end() || producer->second != kProducer) return refusal;
  return {};
}

// ---- load

Result<json> read_config(const fs::path& folder) {
  const fs::path path = folder / kConfigFile;
  ATOLL_ASSIGN(const std::string text, read_file(path, 1 << 20));
  ATOLL_ASSIGN(json config, data::parse_json(text, Code::kCheckpoint, path.string()));
  if (!config.is_object()) return bad(path, "is not an object");
  return config;
}

Status check_kind(const json& config, const fs::path& where) {
  if (config.value("model_type", json()) != "gpt2") return bad(where, "model_type is not gpt2");
  if (config.value("activation_function", json("gelu_new")) != "gelu_new") {
    return bad(where, "activation_function is not gelu_new");
  }
  if (config.value("tie_word_embeddings", json(true)) != true) {
    return bad(where, "tie_word_embeddings is false; only a tied head is read");
  }
  if (config.value("scale_attn_by_inverse_layer_idx", json(false)) != false) {
    return bad(where, "scale_attn_by_inverse_layer_idx is not supported");
  }
  return {};
}

Result<Gpt2Shape> parse_shape(const json& config, const fs::path& where) {
  ATOLL_TRY(check_kind(config, where));
  Gpt2Shape shape;
  const std::pair<const char*, std::uint64_t*> fields[] = {{"vocab_size", &shape.vocab_size},
                                                           {"n_positions", &shape.n_positions},
                                                           {"n_embd", &shape.n_embd},
                                                           {"n_layer", &shape.n_layer},
                                                           {"n_head", &shape.n_head}};
  for (const auto& [name, field] : fields) {
    const json value = config.value(name, json());
    const bool whole = value.is_number_unsigned();
    if (!whole || value.get<std::uint64_t>() == 0 || value.get<std::uint64_t>() > kMaxDimension) {
      return bad(where, std::string(name) + " is not a whole number from 1 to 2^31");
    }
    *field = value.get<std::uint64_t>();
  }
  if (shape.n_layer > kMaxLayers) return bad(where, "n_layer is over 10000");
  const json epsilon = config.value("layer_norm_epsilon", json(shape.layer_norm_epsilon));
  if (!epsilon.is_number()) return bad(where, "layer_norm_epsilon is not a number");
  shape.layer_norm_epsilon = epsilon.get<double>();
  ATOLL_TRY(check_shape(shape, where));
  return shape;
}

bool is_mask_buffer(std::string_view name) {
  return name.starts_with("h.") &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

Result<std::vector<TensorView>> model_tensors(const SafetensorsFile& file, const fs::path& where) {
  std::vector<TensorView> tensors;
  const TensorView* head = nullptr;
  for (const TensorView& tensor : file.tensors()) {
    const std::string_view name = without_prefix(tensor.name);
    if (is_mask_buffer(name)) continue;
    if (name == "lm_head.weight") {
      head = &tensor;
      continue;
    }
    tensors.push_back(tensor);
    tensors.back().name = name;
  }
  if (head == nullptr) return tensors;
  const TensorView* wte = find_matrix(tensors, "wte.weight");
  if (wte == nullptr ||
      !std::equal(head->bytes.begin(), head->bytes.end(), wte->bytes.begin(), wte->bytes.end())) {
    return bad(where, "lm_head.weight differs from wte.weight; only a tied head is read");
  }
  return tensors;
}

}  // namespace

Status export_folder(const Checkpoint& checkpoint, const fs::path& out) {
  const std::vector<TensorView> weights = weights_of(checkpoint);
  ATOLL_ASSIGN(const Gpt2Shape shape,
               shape_of(weights, checkpoint.description().model, checkpoint.folder()));
  ATOLL_TRY(check_tensors(weights, shape, checkpoint.folder()));
  ATOLL_TRY(check_free(out));
  const Metadata metadata{{"format", "pt"},
                          {kProducerKey, kProducer},
                          {"atoll.job", checkpoint.description().job},
                          {"atoll.step", std::to_string(checkpoint.step())}};
  ATOLL_ASSIGN(data::StagedFolder folder, data::StagedFolder::create(out));
  ATOLL_TRY(write_safetensors(folder.path() / kModelFile, weights, metadata));
  ATOLL_TRY(write_file(folder.path() / kConfigFile, as_bytes(gpt2_config(shape).dump(2) + "\n")));
  return folder.commit();
}

Result<HuggingFaceModel> load_folder(const fs::path& folder) {
  ATOLL_ASSIGN(json config, read_config(folder));
  ATOLL_ASSIGN(const Gpt2Shape shape, parse_shape(config, folder / kConfigFile));
  std::error_code failure;
  if (!fs::exists(folder / kModelFile, failure) &&
      fs::exists(folder / "model.safetensors.index.json", failure)) {
    return bad(folder, "is cut into several files; save it as one model.safetensors");
  }
  // A model in the Hugging Face cache is a link to a blob, and this folder is named by the user.
  const fs::path real = fs::canonical(folder / kModelFile, failure);
  if (failure) {
    return Error{Code::kPath, (folder / kModelFile).string(), "cannot open: " + failure.message()};
  }
  ATOLL_ASSIGN(SafetensorsFile file, SafetensorsFile::open(real));
  ATOLL_ASSIGN(std::vector<TensorView> tensors, model_tensors(file, folder));
  ATOLL_TRY(check_tensors(tensors, shape, folder));
  return HuggingFaceModel{std::move(config), shape, std::move(file), std::move(tensors)};
}

}  // namespace reef::checkpoint
