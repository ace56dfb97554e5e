#include "actors/checkpoint/format/shard_index.h"

#include <nlohmann/json.hpp>
#include <set>

#include "actors/data/format/mapped_file.h"
#include "actors/data/format/strict_json.h"

namespace reef::checkpoint {

using nlohmann::json;

std::vector<std::string> ShardIndex::files() const {
  std::set<std::string> names;
  for (const auto& [tensor, file] : file_of) names.insert(file);
  return {names.begin(), names.end()};
}

Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view where) {
  const auto bad = [&](const std::string& what) {
    return Error{Code::kCheckpoint, std::string(where), what};
  };
  ATOLL_ASSIGN(const json document, data::parse_json(text, Code::kCheckpoint, where));
  const json map = document.is_object() ? document.value("weight_map", json()) : json();
  if (!map.is_object() || map.empty()) return bad("has no weight_map");
  ShardIndex index;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string()) return bad("weight_map names something else than files");
    const std::string& name = file.get_ref<const std::string&>();
    if (!name.ends_with(".safetensors") || !data::check_file_name(name, where).ok()) {
      return bad("weight_map names what is not a safetensors file of the folder");
    }
    index.file_of[tensor] = name;
  }
  if (index.files().size() > kMaxShards) {
    return bad("names over " + std::to_string(kMaxShards) + " files");
  }
  const json metadata = document.value("metadata", json());
  const json total = metadata.is_object() ? metadata.value("total_size", json()) : json();
  if (total.is_number_unsigned()) index.total_size = total.get<std::uint64_t>();
  return index;
}

std::string to_json(const ShardIndex& index) {
  return json{{"metadata", {{"total_size", index.total_size}}}, {"weight_map", index.file_of}}.dump(
             2) +
         "\n";
}

}  // namespace reef::checkpoint
