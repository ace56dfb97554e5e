// Which of a run's checkpoints is loaded, and which are kept.

#include <algorithm>
#include <charconv>

#include "actors/checkpoint/format/checkpoint.h"

namespace reef::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "step-";

std::optional<std::uint64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::uint64_t step = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, failure] = std::from_chars(name.data() + kPrefix.size(), end, step);
  // The name must be the one we write: neither "step-5" nor "step-00000005.old".
  if (failure != std::errc() || stop != end || folder_name(step) != name) return std::nullopt;
  return step;
}

bool is_left_over(const std::string& name) {
  return name.starts_with(".step-") && (name.ends_with(".tmp") || name.ends_with(".gone"));
}

/// The names of real folders (no links) in `folder`; none when there is no such folder.
Result<std::vector<std::string>> list_folders(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  if (!fs::exists(folder, failure) && !failure) return names;
  fs::directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
    std::error_code gone;
    if (entry->symlink_status(gone).type() != fs::file_type::directory) continue;
    names.push_back(entry->path().filename().string());
  }
  if (failure) return Error{Code::kPath, folder.string(), "cannot list: " + failure.message()};
  return names;
}

/// Renamed first: a crash in the middle must not leave half a checkpoint under a checkpoint's name.
Status remove_step(const fs::path& checkpoints, std::uint64_t step) {
  const std::string name = folder_name(step);
  const fs::path gone = checkpoints / ("." + name + ".gone");
  std::error_code failure;
  fs::remove_all(gone, failure);
  if (!failure) fs::rename(checkpoints / name, gone, failure);
  if (!failure) fs::remove_all(gone, failure);
  if (failure) {
    return Error{Code::kPath, (checkpoints / name).string(), "cannot remove: " + failure.message()};
  }
  return {};
}

Result<Checkpoint> open_step(const fs::path& checkpoints, std::uint64_t step) {
  const fs::path folder = checkpoints / folder_name(step);
  ATOLL_ASSIGN(Checkpoint checkpoint, Checkpoint::open(folder));
  if (checkpoint.step() != step) {
    return Error{Code::kCheckpoint, folder.string(),
                 "holds step " + std::to_string(checkpoint.step())};
  }
  return checkpoint;
}

}  // namespace

Result<std::vector<std::uint64_t>> list_steps(const fs::path& checkpoints) {
  ATOLL_ASSIGN(const std::vector<std::string> names, list_folders(checkpoints));
  std::vector<std::uint64_t> steps;
  for (const std::string& name : names) {
    if (const auto step = step_of(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<std::optional<Checkpoint>> latest(const fs::path& checkpoints, std::vector<Error>* skipped) {
  ATOLL_ASSIGN(const std::vector<std::uint64_t> steps, list_steps(checkpoints));
  std::string reasons;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    auto opened = open_step(checkpoints, *step);
    if (opened.ok()) return std::optional<Checkpoint>(std::move(opened).value());
    if (skipped != nullptr) skipped->push_back(opened.error());
    reasons += (reasons.empty() ? "" : "; ") + opened.error().where + " " + opened.error().what;
  }
  if (steps.empty()) return std::optional<Checkpoint>();
  return Error{Code::kCheckpoint, checkpoints.string(), "every checkpoint is damaged: " + reasons};
}

Status prune(const fs::path& checkpoints, std::size_t keep) {
  ATOLL_ASSIGN(const std::vector<std::uint64_t> steps, list_steps(checkpoints));
  const std::size_t kept = std::max<std::size_t>(keep, 1);
  for (std::size_t i = 0; i + kept < steps.size(); ++i)
    ATOLL_TRY(remove_step(checkpoints, steps[i]));
  ATOLL_ASSIGN(const std::vector<std::string> names, list_folders(checkpoints));
  for (const std::string& name : names) {
    if (!is_left_over(name)) continue;
    std::error_code failure;
    fs::remove_all(checkpoints / name, failure);
    if (failure) return Error{Code::kPath, (checkpoints / name).string(), failure.message()};
  }
  return {};
}

}  // namespace reef::checkpoint
