#include "actors/checkpoint/format/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "actors/data/format/mapped_file.h"
#include "actors/data/format/sha256.h"
#include "actors/data/format/strict_json.h"

namespace reef::checkpoint {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::size_t kMaxManifestBytes = 256 << 20;
constexpr std::string_view kManifestName = "manifest.json";

Error damaged(const fs::path& where, const std::string& what) {
  return {Code::kCheckpoint, where.string(), what};
}

/// Reads the manifest's JSON. An exception of `get` (a field missing or of another type) is the
/// caller's.
Result<json> read_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  const auto file = data::MappedFile::open(path);
  if (!file.ok()) return damaged(folder, "has no manifest.json that can be read; it is incomplete");
  if (file->bytes().size() > kMaxManifestBytes) return damaged(path, "is larger than 256 MiB");
  ATOLL_ASSIGN(json manifest,
               data::parse_json(as_text(file->bytes()), Code::kCheckpoint, path.string()));
  if (!manifest.is_object() || manifest.value("kind", json()) != "Checkpoint") {
    return damaged(path, "is not a checkpoint's manifest");
  }
  if (manifest.value("version", json()) != 1) {
    return damaged(path, "has another version; this Atoll reads version 1");
  }
  return manifest;
}

std::uint64_t whole_number(const json& value) {
  // get<uint64_t>() would turn -1 and 1.5 into something; at() of a wrong type throws for us.
  if (!value.is_number_unsigned()) throw std::invalid_argument("a number is not a whole one");
  return value.get<std::uint64_t>();
}

Description parse_description(const json& manifest) {
  return {.step = whole_number(manifest.at("step")),
          .job = manifest.at("job").get<std::string>(),
          .seed = whole_number(manifest.at("seed")),
          .model = manifest.at("model"),
          .state = manifest.at("state")};
}

/// Runs `read`, which reads fields with nlohmann's throwing accessors.
template <typename Read>
Status guarded(const fs::path& folder, Read read) {
  try {
    return read();
  } catch (const std::exception& e) {
    return damaged(folder / kManifestName, std::string("cannot be used: ") + e.what());
  }
}

std::string_view without_suffix(std::string_view name) {
  return name.substr(0, name.size() - kAdamM.size());  // both suffixes are as long
}

}  // namespace

static_assert(kAdamM.size() == kAdamV.size());

bool is_moment(std::string_view name) { return name.ends_with(kAdamM) || name.ends_with(kAdamV); }

bool is_weight(std::string_view name) {
  const auto has = [name](std::string_view part) { return name.find(part) != name.npos; };
  return !is_moment(name) && !has(kResidual) && !has(kWarm);
}

std::string folder_name(std::uint64_t step) {
  std::array<char, 40> text;
  std::snprintf(text.data(), text.size(), "step-%08llu", static_cast<unsigned long long>(step));
  return text.data();
}

Result<Checkpoint> Checkpoint::open(const fs::path& folder) {
  ATOLL_ASSIGN(const json manifest, read_manifest(folder));
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  ATOLL_TRY(guarded(folder, [&]() -> Status {
    checkpoint.description_ = parse_description(manifest);
    ATOLL_TRY(checkpoint.load_parts(manifest));
    return checkpoint.check_index(manifest);
  }));
  ATOLL_TRY(checkpoint.check_moments());
  return checkpoint;
}

Status Checkpoint::load_parts(const json& manifest) {
  const json& parts = manifest.at("parts");
  if (!parts.is_array()) return damaged(folder_, "'parts' is not a list");
  for (const json& part : parts) {
    const auto name = part.at("file").get<std::string>();
    ATOLL_ASSIGN(SafetensorsFile file, SafetensorsFile::open(folder_, name));
    const BytesView bytes = file.bytes();
    if (bytes.size() != whole_number(part.at("bytes")) ||
        data::sha256(bytes) != part.at("sha256").get<std::string>()) {
      return damaged(folder_ / name, "is not what was written: its size or SHA-256 differs");
    }
    parts_.push_back(std::move(file));
  }
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    for (const TensorView& tensor : parts_[part].tensors()) {
      if (!index_.emplace(tensor.name, Entry{&tensor, part}).second) {
        return damaged(folder_, "tensor '" + tensor.name + "' is in two parts");
      }
    }
  }
  return {};
}

Status Checkpoint::check_index(const json& manifest) const {
  const json& tensors = manifest.at("tensors");
  if (!tensors.is_object() || tensors.size() != index_.size()) {
    return damaged(folder_, "the manifest and the parts hold different tensors");
  }
  for (const auto& [name, entry] : tensors.items()) {
    const auto found = index_.find(name);
    if (found == index_.end() || found->second.part != whole_number(entry.at("part"))) {
      return damaged(folder_, "tensor '" + name + "' is not in the part the manifest names");
    }
  }
  return {};
}

Status Checkpoint::check_moments() const {
  for (const auto& [name, entry] : index_) {
    if (!is_moment(name)) continue;
    const TensorView* weight = find(without_suffix(name));
    if (weight == nullptr || weight->shape != entry.tensor->shape) {
      return damaged(folder_, std::string(name) + " has no weight of its shape");
    }
  }
  return {};
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second.tensor;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  names.reserve(index_.size());
  for (const auto& [name, entry] : index_) names.emplace_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

Status Checkpoint::check_job(std::string_view job) const {
  if (description_.job == job) return {};
  return damaged(folder_, "was written by job '" + description_.job.substr(0, 64) + "', not by '" +
                              std::string(job.substr(0, 64)) + "'");
}

}  // namespace reef::checkpoint
