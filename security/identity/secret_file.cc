#include "security/identity/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace reef::security {
namespace {

namespace fs = std::filesystem;

/// The folder that systemd made for this service alone, or nothing.
fs::path credentials_folder() {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  return folder == nullptr ? fs::path() : fs::path(folder);
}

Result<std::size_t> check_file(int fd, const fs::path& path, std::size_t limit) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error{Code::kPath, path, "not a regular file"};
  }
  if (info.st_uid != geteuid() && info.st_uid != 0) {
    return Error{Code::kKeyPerm, path, "it belongs to another user; chown it to yourself"};
  }
  // systemd gives a service its credential by an access list, and the mode then shows the list's
  // mask as the group's bits.
  const fs::path folder = credentials_folder();
  const bool by_list = !folder.empty() && path.parent_path() == folder && info.st_uid == 0;
  const mode_t allowed = by_list ? 0640 : 0600;
  if ((info.st_mode & 07777 & ~allowed) != 0) {
    return Error{Code::kKeyPerm, path, "others may read this secret; chmod 600 " + path.string()};
  }
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > limit) {
    return Error{
        Code::kData, path,
        "has " + std::to_string(info.st_size) + " bytes; the limit is " + std::to_string(limit)};
  }
  return static_cast<std::size_t>(info.st_size);
}

Result<SecretBytes> read_open(int fd, const fs::path& path, std::size_t limit) {
  ATOLL_ASSIGN(const std::size_t size, check_file(fd, path, limit));
  SecretBytes content(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = ::read(fd, content.data() + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Code::kPath, path, "cannot be read to its end"};
    have += static_cast<std::size_t>(n);
  }
  return content;
}

}  // namespace

fs::path secret_path(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(path, ignored))) return path;
  const fs::path folder = credentials_folder();
  if (folder.empty() || path.filename().empty()) return path;
  const fs::path given = folder / path.filename();
  return fs::exists(given, ignored) ? given : path;
}

Result<SecretBytes> read_secret_file(const fs::path& path, std::size_t limit) {
  const fs::path found = secret_path(path);
  // O_NONBLOCK: a FIFO put in the place of a file must not hang us.
  const int fd = ::open(found.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return Error{Code::kPath, found, std::strerror(errno)};
  auto content = read_open(fd, found, limit);
  ::close(fd);
  return content;
}

}  // namespace reef::security
