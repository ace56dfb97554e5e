#include "scheduler/job/initial_model.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "ops/nn/config_json.h"
#include "runtime/base/file.h"

namespace reef::job {
namespace {

constexpr std::array<std::string_view, 4> kOwnFields{"embd_pdrop", "attn_pdrop", "resid_pdrop",
                                                     "initializer_range"};

bool is_own(std::string_view field) {
  return std::ranges::find(kOwnFields, field) != kOwnFields.end();
}

/// Of a run that has ended the model that it has written for other tools.
std::string whole_model_in(const std::string& folder) {
  const std::filesystem::path run(folder);
  std::error_code failure;
  const bool ended = !std::filesystem::exists(run / "config.json", failure) &&
                     std::filesystem::exists(run / "model" / "config.json", failure);
  return ended ? (run / "model").string() : folder;
}

Result<nn::ModelConfig> read_config(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "config.json").string();
  ATOLL_ASSIGN(const std::string text, read_file(path, 1 << 20));
  ATOLL_ASSIGN(const Document document, parse_json_document(text, path));
  return nn::config_from_json(document.value, Code::kCheckpoint, path);
}

/// The group that the schema will look at, if it is one.
Json* model_of(Document& document) {
  Json* value = &document.value;
  for (const char* name : {"spec", "model"}) {
    if (!value->is_object() || !value->contains(name)) return nullptr;
    value = &(*value)[name];
  }
  return value->is_object() ? value : nullptr;
}

}  // namespace

Status complete_model(Document& document) {
  Json* model = model_of(document);
  if (model == nullptr || !model->contains("from") || !(*model)["from"].is_string()) return {};
  const std::string folder = whole_model_in((*model)["from"]);
  (*model)["from"] = folder;
  ATOLL_ASSIGN(const nn::ModelConfig config, read_config(folder));
  const Json known = nn::config_to_json(config);
  for (const auto& [name, value] : known.items()) {
    const auto given = model->find(name);
    if (given == model->end() || given->is_null()) {
      (*model)[name] = value;
    } else if (*given != value && !is_own(name)) {
      return complaint(document, Code::kJobValue, "/spec/model/" + name,
                       "is " + given->dump(-1, ' ', true, Json::error_handler_t::replace) +
                           ", but the model in " + folder + " has " + value.dump() +
                           "; leave it out");
    }
  }
  return {};
}

}  // namespace reef::job
