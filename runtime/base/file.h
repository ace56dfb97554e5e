#pragma once
// Files that are either whole or absent.

#include <filesystem>
#include <string>
#include <utility>

#include "runtime/base/bytes.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef {

/// Reads a regular file of at most `limit` bytes. kPath names the file otherwise.
Result<std::string> read_file(const std::filesystem::path& path,
                              std::size_t limit = std::size_t{1} << 32);

/// Writes a file so that a crash leaves either the old content or the new one: temporary in the
/// same folder, fsync, rename, fsync of the folder. Missing parent folders are made.
Status write_file(const std::filesystem::path& path, BytesView content, unsigned mode = 0644);

/// Keeps other processes, and other threads, from what the file at `path` stands for, until it is
/// destroyed. The empty file stays, since who removes it could remove another's lock; it is its
/// owner's alone, since whoever may open it may take it.
class FileLock {
 public:
  /// Waits at most `patience` for who has it; then kTimedOut. Missing parent folders are made.
  static Result<FileLock> take(const std::filesystem::path& path,
                               Duration patience = std::chrono::seconds(10));
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

/// A file written piece by piece that appears under its name only when committed.
/// Failure: a destroyed, uncommitted writer leaves nothing behind.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& path, unsigned mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Status write(BytesView piece);
  /// fsync, rename into place, fsync of the folder. Nothing may be written afterwards.
  Status commit();

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_;
};

}  // namespace reef
