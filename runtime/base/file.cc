#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace reef {
namespace {

/// While another has a lock.
constexpr Duration kLookAgain = std::chrono::milliseconds(5);

Error path_error(const std::filesystem::path& path, const char* verb) {
  return {Code::kPath, path.string(), std::string("cannot ") + verb + ": " + std::strerror(errno)};
}

Status make_parent(const std::filesystem::path& path) {
  std::error_code failure;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failure);
  if (!failure) return {};
  return Error{Code::kPath, path.parent_path().string(), "cannot create: " + failure.message()};
}

Status sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return path_error(folder, "open");
  const int failed = ::fsync(fd);
  ::close(fd);
  if (failed != 0) return path_error(folder, "fsync");
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  // O_NONBLOCK: a FIFO put in the place of a file must not hang us before fstat can refuse it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return path_error(path, "read");
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) return path_error(path, "read");
  if (!S_ISREG(info.st_mode)) return Error{Code::kPath, path.string(), "is not a regular file"};
  if (static_cast<std::size_t>(info.st_size) > limit) {
    return Error{
        Code::kPath, path.string(),
        "has " + std::to_string(info.st_size) + " bytes; the limit is " + std::to_string(limit)};
  }
  std::string content(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t n = ::read(fd, content.data() + have, content.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return path_error(path, "read");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  content.resize(have);
  return content;
}

Status write_file(const std::filesystem::path& path, BytesView content, unsigned mode) {
  ATOLL_ASSIGN(AtomicFile file, AtomicFile::create(path, mode));
  ATOLL_TRY(file.write(content));
  return file.commit();
}

Result<FileLock> FileLock::take(const std::filesystem::path& path, Duration patience) {
  ATOLL_TRY(make_parent(path));
  FileLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0) return path_error(path, "lock");
  const Time end = system_clock().now() + patience;
  while (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return path_error(path, "lock");
    if (system_clock().now() >= end) {
      return Error{Code::kTimedOut, path.string(),
                   "another process holds this lock; 'fuser' names it"};
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  return lock;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);  // and with it the lock
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, unsigned mode) {
  ATOLL_TRY(make_parent(path));
  std::string name = path.string() + ".XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return path_error(path, "write");
  ::fchmod(fd, mode);
  return AtomicFile(path, name, fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), fd_(other.fd_) {
  other.fd_ = -1;
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Status AtomicFile::write(BytesView piece) {
  CHECK(fd_ >= 0) << "written after commit";
  while (!piece.empty()) {
    const ssize_t n = ::write(fd_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return path_error(temporary_, "write");
    piece = piece.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status AtomicFile::commit() {
  CHECK(fd_ >= 0) << "committed twice";
  if (::fsync(fd_) != 0) return path_error(temporary_, "fsync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return path_error(path_, "rename");
  ::close(fd_);
  fd_ = -1;
  return sync_folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
}

}  // namespace reef
