#include "actors/data/format/staged_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace reef::data {
namespace fs = std::filesystem;
namespace {

Error path_error(const fs::path& path, const std::string& verb, const std::string& why) {
  return {Code::kPath, path.string(), "cannot " + verb + ": " + why};
}

/// Puts `from` in the place of `to` in one step; what was at `to` is then at `from`.
int exchange(const fs::path& from, const fs::path& to) {
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE);
}

}  // namespace

Status sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return path_error(folder, "open", std::strerror(errno));
  const int failed = ::fsync(fd);
  ::close(fd);
  if (failed != 0) return path_error(folder, "fsync", std::strerror(errno));
  return {};
}

Result<StagedFolder> StagedFolder::create(const fs::path& place) {
  // "runs/x/" and "runs/x" are the same place, but the first has no file name.
  std::error_code failure;
  fs::path full = fs::absolute(place, failure).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();
  if (failure || !full.has_filename()) return path_error(place, "create", "not a folder's name");
  std::string hidden(".");
  hidden += full.filename().string();
  hidden += ".tmp";
  const fs::path temporary = full.parent_path() / hidden;
  fs::create_directories(full.parent_path(), failure);
  if (!failure) fs::remove_all(temporary, failure);
  if (!failure) fs::create_directory(temporary, failure);
  if (failure) return path_error(temporary, "create", failure.message());
  return StagedFolder(full, temporary);
}

StagedFolder::StagedFolder(StagedFolder&& other) noexcept
    : place_(std::move(other.place_)), temporary_(std::move(other.temporary_)) {
  other.temporary_.clear();
}

StagedFolder::~StagedFolder() {
  if (temporary_.empty()) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

Status StagedFolder::commit() {
  CHECK(!temporary_.empty()) << "committed twice";
  ATOLL_TRY(sync_folder(temporary_));
  // rename() replaces an empty folder only; a full one changes places with the new one and goes.
  if (::rename(temporary_.c_str(), place_.c_str()) == 0) {
    temporary_.clear();
  } else if ((errno != ENOTEMPTY && errno != EEXIST) || exchange(temporary_, place_) != 0) {
    return path_error(place_, "rename into place", std::strerror(errno));
  }
  ATOLL_TRY(sync_folder(place_.parent_path()));
  if (temporary_.empty()) return {};
  std::error_code
      ignored;  // the new content stands; a rest of the old is removed by the next create()
  fs::remove_all(temporary_, ignored);
  temporary_.clear();
  return {};
}

}  // namespace reef::data
