#pragma once
// A file's bytes without a copy. Also the one place where a name that came from a file is opened:
// beneath its folder, never through a symbolic link, and regular files only.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::data {

/// kPath unless `name` is one plain component: not empty, ".", "..", with '/' or NUL, or over 255
/// bytes.
Status check_file_name(std::string_view name, std::string_view where);

/// Memory: the bytes live as long as the object, also after it is moved.
/// Failure: a file that is shortened while mapped ends the process when the lost part is touched
/// (SIGBUS); unchanged() narrows that to a race with the one who shortens it.
class MappedFile {
 public:
  /// Maps `folder`/`name`, refusing links, FIFOs, devices and folders with kPath.
  static Result<MappedFile> open(const std::filesystem::path& folder, std::string_view name);
  /// Maps a path the user gave; the last component may not be a link either.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  BytesView bytes() const { return {data_, size_}; }
  /// Whether the file still has the size and modification time it had when opened.
  bool unchanged() const;

 private:
  MappedFile() = default;

  int fd_ = -1;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::int64_t modified_ns_ = 0;
};

}  // namespace reef::data
