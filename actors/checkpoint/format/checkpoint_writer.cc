#include <algorithm>
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
    if (part_of_.contains(tensor.name) || sliced_.contains(tensor.name)) {
      return Error{Code::kTensor, tensor.name, "is in an earlier part already"};
    }
  }
  ATOLL_TRY(write_part(tensors));
  for (const TensorView& tensor : tensors) part_of_[tensor.name] = parts_.size() - 1;
  return {};
}

Status CheckpointWriter::add_part(const std::vector<TensorSlice>& slices) {
  std::vector<TensorView> runs;
  for (const TensorSlice& slice : slices) {
    ATOLL_ASSIGN(const std::uint64_t bytes, byte_size(slice.run.dtype, slice.shape));
    if (part_of_.contains(slice.run.name) || has(slice))
      return Error{Code::kTensor, slice.run.name, "is in an earlier part already"};
    runs.push_back(slice.run);
    if (slice.run.bytes.size() == bytes) runs.back().shape = slice.shape;
  }
  ATOLL_TRY(write_part(runs));
  const std::size_t part = parts_.size() - 1;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const TensorSlice& slice = slices[i];
    if (runs[i].shape == slice.shape) {
      part_of_[slice.run.name] = part;
    } else {
      Sliced& sliced = sliced_[slice.run.name];
      sliced.shape = slice.shape;
      sliced.slices.push_back({part, slice.first, slice.of});
    }
  }
  return {};
}

bool CheckpointWriter::has(const TensorSlice& slice) const {
  const auto sliced = sliced_.find(slice.run.name);
  return sliced != sliced_.end() &&
         std::ranges::any_of(sliced->second.slices, [&](const SliceEntry& entry) {
           return entry.first == slice.first && entry.of == slice.of;
         });
}

Status CheckpointWriter::write_part(const std::vector<TensorView>& tensors) {
  const std::string file = part_name(parts_.size());
  ATOLL_ASSIGN(WrittenFile written, write_safetensors(folder_.path() / file, tensors));
  parts_.push_back({file, std::move(written)});
  return {};
}

json CheckpointWriter::manifest(const Description& description) const {
  json parts = json::array();
  for (const Part& part : parts_) {
    parts.push_back(
        {{"file", part.file}, {"bytes", part.written.bytes}, {"sha256", part.written.sha256}});
  }
  int version = sliced_.empty() ? 1 : 2;
  json tensors = json::object();
  for (const auto& [name, part] : part_of_) tensors[name] = {{"part", part}};
  for (const auto& [name, sliced] : sliced_) {
    json slices = json::array();
    for (const SliceEntry& slice : sliced.slices) {
      slices.push_back({{"part", slice.part}, {"first", slice.first}});
      if (!slice.of) continue;
      version = 3;
      slices.back()["axis"] = slice.of->axis;
      for (const nn::Part::Range& range : slice.of->ranges)
        slices.back()["ranges"].push_back({range.first, range.count});
    }
    tensors[name] = {{"shape", sliced.shape}, {"slices", std::move(slices)}};
  }
  json state = description.state;
  if (description.pace != 1) state["pace"] = description.pace;
  return {{"kind", "Checkpoint"},      {"version", version},
          {"step", description.step},  {"job", description.job},
          {"seed", description.seed},  {"model", description.model},
          {"state", std::move(state)}, {"data", {{"step", description.step}}},
          {"parts", std::move(parts)}, {"tensors", std::move(tensors)}};
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
