#pragma once
// A folder that is whole or absent: it is filled under a hidden name beside its place and renamed
// at the end.

#include <filesystem>

#include "runtime/base/error.h"

namespace reef::data {

/// Failure: a destroyed, uncommitted folder is removed with its content; one that a crash left
/// behind is removed by the next create() of the same name. Thread: one at a time for one place.
class StagedFolder {
 public:
  /// Makes ".<name>.tmp" beside `place`, and the parents.
  static Result<StagedFolder> create(const std::filesystem::path& place);
  StagedFolder(StagedFolder&& other) noexcept;
  StagedFolder& operator=(StagedFolder&&) = delete;
  ~StagedFolder();

  /// Where to write; the files there must be synchronised already (AtomicFile does).
  const std::filesystem::path& path() const { return temporary_; }
  /// Puts the folder into its place, exchanging it with one that is there already, which is
  /// removed.
  Status commit();

 private:
  StagedFolder(std::filesystem::path place, std::filesystem::path temporary)
      : place_(std::move(place)), temporary_(std::move(temporary)) {}

  std::filesystem::path place_;
  std::filesystem::path temporary_;  ///< empty once committed
};

/// fsync of a folder: makes the names in it durable.
Status sync_folder(const std::filesystem::path& folder);

}  // namespace reef::data
