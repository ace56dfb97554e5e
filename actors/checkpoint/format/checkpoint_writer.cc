#include <array>
#include <cstdio>

#include "actors/checkpoint/format/checkpoint.h"
#include "runtime/base/file.h"

namespace reef::checkpoint {
namespace {

using nlohmann::json;

std::string part_name(std::size_t number) {
  std::array<char, 40> text;
  std::snprintf(text.data(), text.size(), "part-%05zu.safetensors", number);
  return text.data();
}

}  // namespace

Result<CheckpointWriter> CheckpointWriter::begin(const std::filesystem::path& checkpoints,
                                                 std::uint64_t step) {
  const std::filesystem::path place = checkpoints / folder_name(step);
  ATOLL_ASSIGN(data::StagedFolder folder, data::StagedFolder::create(place));
  return CheckpointWriter(place, step, std::move(folder));
}

Status CheckpointWriter::add_part(const std::vector<TensorView>& tensors) {
  for (const TensorView& tensor : tensors) {
    if (part_of_.contains(tensor.name)) {
      return Error{Code::kTensor, tensor.name, "is in an earlier part already"};
    }
  }
  const std::size_t number = parts_.size();
  const std::string file = part_name(number);
  ATOLL_ASSIGN(WrittenFile written, write_safetensors(folder_.path() / file, tensors));
  parts_.push_back({file, std::move(written)});
  for (const TensorView& tensor : tensors) part_of_[tensor.name] = number;
  return {};
}

json CheckpointWriter::manifest(const Description& description) const {
  json parts = json::array();
  for (const Part& part : parts_) {
    parts.push_back(
        {{"file", part.file}, {"bytes", part.written.bytes}, {"sha256", part.written.sha256}});
  }
  json tensors = json::object();
  for (const auto& [name, part] : part_of_) tensors[name] = {{"part", part}};
  return {{"kind", "Checkpoint"},       {"version", 1},
          {"step", description.step},   {"job", description.job},
          {"seed", description.seed},   {"model", description.model},
          {"state", description.state}, {"data", {{"step", description.step}}},
          {"parts", std::move(parts)},  {"tensors", std::move(tensors)}};
}

Result<std::filesystem::path> CheckpointWriter::commit(const Description& description) {
  CHECK_EQ(description.step, step_) << "the step a checkpoint was begun with";
  std::string text;
  try {
    text = manifest(description).dump(1);
  } catch (const json::exception&) {
    return Error{Code::kCheckpoint, place_.string(), "the job's name or model is not UTF-8"};
  }
  ATOLL_TRY(write_file(folder_.path() / "manifest.json", as_bytes(text)));
  ATOLL_TRY(folder_.commit());
  return place_;
}

}  // namespace reef::checkpoint
