#include "actors/checkpoint/format/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <set>
#include <stdexcept>

#include "actors/data/format/mapped_file.h"
#include "actors/data/format/sha256.h"
#include "actors/data/format/strict_json.h"
#include "ops/nn/tensor_rank.h"

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
  const json version = manifest.value("version", json());
  if (version != 1 && version != 2 && version != 3) {
    return damaged(path, "has another version; this Atoll reads versions 1 to 3");
  }
  return manifest;
}

std::uint64_t whole_number(const json& value) {
  // get<uint64_t>() would turn -1 and 1.5 into something; at() of a wrong type throws for us.
  if (!value.is_number_unsigned()) throw std::invalid_argument("a number is not a whole one");
  return value.get<std::uint64_t>();
}

double pace_of(const json& state) {
  constexpr double kLeast = 1e-6, kMost = 1e6;  // as of a job
  const double pace = state.is_object() ? state.value("pace", 1.0) : 1;
  if (!(pace >= kLeast && pace <= kMost)) throw std::invalid_argument("a pace that no job has");
  return pace;
}

Description parse_description(const json& manifest) {
  return {.step = whole_number(manifest.at("step")),
          .job = manifest.at("job").get<std::string>(),
          .seed = whole_number(manifest.at("seed")),
          .model = manifest.at("model"),
          .state = manifest.at("state"),
          .pace = pace_of(manifest.at("state"))};
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

/// What the slice is a run of: the tensor, or a rank's part of it.
Result<nn::Parameter> held_by(const json& slice, const std::vector<std::uint64_t>& shape,
                              const Error& broken) {
  constexpr std::uint64_t kMostElements = std::uint64_t{1} << 48;
  nn::Parameter held;
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    if (extent == 0 || extent > kMostElements / elements) return broken;
    elements *= extent;
    held.shape.push_back(static_cast<std::int64_t>(extent));
  }
  if (!slice.contains("axis")) return held;
  nn::Part part{held.shape, whole_number(slice.at("axis")), {}};
  if (part.axis >= held.shape.size()) return broken;
  std::int64_t extent = 0, next = 0;
  for (const json& range : slice.at("ranges")) {
    const std::uint64_t first = whole_number(range.at(0)), count = whole_number(range.at(1));
    const auto most = static_cast<std::uint64_t>(part.whole[part.axis]);
    if (first < static_cast<std::uint64_t>(next) || first > most || count == 0 ||
        count > most - first)
      return broken;
    part.ranges.push_back({static_cast<std::int64_t>(first), static_cast<std::int64_t>(count)});
    extent += part.ranges.back().count;
    next = part.ranges.back().first + part.ranges.back().count;
  }
  if (extent == 0) return broken;
  held.shape[part.axis] = extent;
  held.part = std::move(part);
  return held;
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
    return checkpoint.load_index(manifest);
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
  return {};
}

Status Checkpoint::load_index(const json& manifest) {
  const json& tensors = manifest.at("tensors");
  if (!tensors.is_object()) return damaged(folder_, "'tensors' is not an object");
  std::size_t held = 0, used = 0;
  for (const SafetensorsFile& part : parts_) held += part.tensors().size();
  for (const auto& [name, value] : tensors.items()) {
    ATOLL_ASSIGN(Entry entry, entry_of(name, value));
    used += entry.whole != nullptr ? 1 : value.at("slices").size();
    index_.emplace(name, std::move(entry));
  }
  // No entry uses a tensor of a part twice, so as many are the same.
  if (held != used) return damaged(folder_, "the manifest and the parts hold different tensors");
  return {};
}

Result<Checkpoint::Entry> Checkpoint::entry_of(const std::string& name, const json& value) const {
  Entry entry;
  if (!value.contains("slices")) {
    ATOLL_ASSIGN(entry.whole, tensor_in(name, value.at("part")));
    entry.dtype = entry.whole->dtype;
    entry.shape = entry.whole->shape;
    const std::uint64_t size = byte_size(entry.dtype, {1}).value();
    entry.runs = {{0, entry.whole->bytes.size() / size, entry.whole->bytes}};
    return entry;
  }
  std::set<std::uint64_t> parts;
  for (const json& extent : value.at("shape")) entry.shape.push_back(whole_number(extent));
  for (const json& slice : value.at("slices")) {
    if (!parts.insert(whole_number(slice.at("part"))).second)
      return damaged(folder_, "two slices of tensor '" + name + "' are in one part");
    ATOLL_TRY(add_slice(name, slice, entry));
  }
  ATOLL_TRY(check_cover(name, entry));
  return entry;
}

/// Its runs, of which each has an element of the part at least.
Status Checkpoint::add_slice(const std::string& name, const json& slice, Entry& entry) const {
  const Error broken =
      damaged(folder_, "a slice of tensor '" + name + "' is not a run of its elements");
  ATOLL_ASSIGN(const TensorView* run, tensor_in(name, slice.at("part")));
  if (entry.dtype.empty()) entry.dtype = run->dtype;
  if (run->dtype != entry.dtype || run->shape.size() != 1 || run->shape[0] == 0) return broken;
  ATOLL_ASSIGN(const nn::Parameter held, held_by(slice, entry.shape, broken));
  const std::uint64_t first = whole_number(slice.at("first")), count = run->shape[0];
  const auto elements = static_cast<std::uint64_t>(held.elements());
  if (first > elements || count > elements - first) return broken;
  const std::uint64_t size = run->bytes.size() / count;
  nn::for_each_run(
      held, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count),
      [&](std::int64_t place, std::int64_t from, std::int64_t length) {
        entry.runs.push_back({static_cast<std::uint64_t>(from), static_cast<std::uint64_t>(length),
                              run->bytes.subspan(static_cast<std::size_t>(place) * size,
                                                 static_cast<std::size_t>(length) * size)});
      });
  return {};
}

Result<const TensorView*> Checkpoint::tensor_in(const std::string& name, const json& part) const {
  const std::uint64_t number = whole_number(part);
  const TensorView* tensor = number < parts_.size() ? parts_[number].find(name) : nullptr;
  if (tensor == nullptr)
    return damaged(folder_, "tensor '" + name + "' is not in the part the manifest names");
  return tensor;
}

/// Puts the runs in order. Together they are no longer than the parts, so nobody can make us take
/// more memory to join them than was written.
Status Checkpoint::check_cover(const std::string& name, Entry& entry) const {
  const Error broken =
      damaged(folder_, "the slices of tensor '" + name + "' do not make it up, each element once");
  std::ranges::sort(entry.runs, {}, &Run::first);
  std::uint64_t next = 0, bytes = 0;
  for (const Run& run : entry.runs) {
    if (run.first != next) return broken;
    next += run.count;
    bytes += run.bytes.size();
  }
  const auto whole = byte_size(entry.dtype, entry.shape);
  return entry.runs.size() > 1 && whole.ok() && *whole == bytes ? Status() : Status(broken);
}

Status Checkpoint::check_moments() const {
  for (const auto& [name, entry] : index_) {
    if (!is_moment(name)) continue;
    const auto weight = index_.find(without_suffix(name));
    if (weight == index_.end() || weight->second.shape != entry.shape) {
      return damaged(folder_, name + " has no weight of its shape");
    }
  }
  return {};
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return nullptr;
  const auto& [key, entry] = *found;
  return entry.whole != nullptr ? entry.whole : join(key, entry);
}

const TensorView* Checkpoint::join(std::string_view name, const Entry& entry) const {
  const std::lock_guard lock(joinery_->mutex);
  const auto [place, absent] = joinery_->joined.try_emplace(name);
  Joined& joined = place->second;
  if (absent) {
    for (const Run& run : entry.runs)
      joined.bytes.insert(joined.bytes.end(), run.bytes.begin(), run.bytes.end());
    joined.view = {std::string(name), entry.dtype, entry.shape, joined.bytes};
  }
  return &joined.view;
}

Status Checkpoint::read(std::string_view name, std::uint64_t elements, std::uint64_t first,
                        std::span<float> to) const {
  const auto found = index_.find(name);
  const std::uint64_t bytes = elements * sizeof(float);
  if (found == index_.end() || found->second.dtype != "F32" ||
      byte_size("F32", found->second.shape).value() != bytes || first > elements ||
      to.size() > elements - first) {
    return damaged(folder_, "has no '" + std::string(name) +
                                "' of this model's shape; resume with the model it was written by");
  }
  const std::uint64_t end = first + to.size();
  const std::vector<Run>& runs = found->second.runs;
  auto run = std::ranges::upper_bound(runs, first, {}, &Run::first);
  for (run = run == runs.begin() ? run : run - 1; run != runs.end() && run->first < end; ++run) {
    const std::uint64_t from = std::max(first, run->first);
    const std::uint64_t until = std::min(end, run->first + run->count);
    if (from >= until) continue;
    // Files align as they like.
    std::memcpy(to.data() + (from - first), run->bytes.data() + (from - run->first) * sizeof(float),
                (until - from) * sizeof(float));
  }
  return {};
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
