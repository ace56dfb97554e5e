#include "actors/data/format/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace reef::data {
namespace {

constexpr std::size_t kMaxName = 255;

Error cannot_open(const std::filesystem::path& path) {
  const char* const why = errno == ELOOP ? "it is a symbolic link" : std::strerror(errno);
  return {Code::kPath, path.string(), std::string("cannot open: ") + why};
}

std::int64_t modified_ns(const struct stat& info) {
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

Status check_file_name(std::string_view name, std::string_view where) {
  const char* problem = nullptr;
  if (name.empty() || name == "." || name == "..") {
    problem = "a file name is missing";
  } else if (name.size() > kMaxName) {
    problem = "a file name is longer than 255 bytes";
  } else if (name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    problem = "a file name leaves its folder";
  }
  if (problem == nullptr) return {};
  return Error{Code::kPath, std::string(where), problem};
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& folder, std::string_view name) {
  ATOLL_TRY(check_file_name(name, folder.string()));
  return open(folder / name);
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  MappedFile file;
  // O_NONBLOCK: a FIFO in the place of a file must not hang us before fstat refuses it.
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file.fd_ < 0) return cannot_open(path);
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return cannot_open(path);
  if (!S_ISREG(info.st_mode)) return Error{Code::kPath, path.string(), "is not a regular file"};
  file.size_ = static_cast<std::size_t>(info.st_size);
  file.modified_ns_ = modified_ns(info);
  if (file.size_ == 0) return file;  // mmap refuses empty files
  void* const data = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, file.fd_, 0);
  if (data == MAP_FAILED) return cannot_open(path);
  file.data_ = static_cast<const std::byte*>(data);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(modified_ns_, other.modified_ns_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
}

bool MappedFile::unchanged() const {
  struct stat info {};
  return ::fstat(fd_, &info) == 0 && static_cast<std::size_t>(info.st_size) == size_ &&
         modified_ns(info) == modified_ns_;
}

}  // namespace reef::data
