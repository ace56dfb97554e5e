#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "runtime/base/utf8.h"

namespace reef::fuzz {
namespace {

/// A message to people; a reader that quotes without a limit breaks this.
constexpr std::size_t kLongestLine = 4096;

class Folder {
 public:
  Folder() {
    std::error_code failure;
    const std::filesystem::path memory = "/dev/shm";
    const bool there = std::filesystem::is_directory(memory, failure);
    path_ = (there ? memory : std::filesystem::temp_directory_path()) /
            ("atoll-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

BytesView zeros(std::size_t size) {
  static const Bytes all(kMostZeros);
  return BytesView(all).first(std::min(size, kMostZeros));
}

Bytes mutated(BytesView valid, Input& input) {
  Bytes bytes = to_bytes(valid);
  for (int change = 0; change < 16 && !input.empty(); ++change) {
    const std::size_t how = input.below(4);
    const std::size_t at = input.number<std::uint16_t>() % (bytes.size() + 1);
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    if (how == 0 && at < bytes.size()) {
      bytes[at] ^= static_cast<std::byte>(input.number<std::uint8_t>());
    } else if (how == 1) {
      bytes.resize(at);
    } else {
      const BytesView more = input.take(input.below(64));
      bytes.insert(how == 2 ? place : bytes.end(), more.begin(), more.end());
    }
  }
  return bytes;
}

void check_refusal(const Error& error, std::initializer_list<Code> codes) {
  const std::string text = error.text();
  CHECK(std::find(codes.begin(), codes.end(), error.code) != codes.end()) << text;
  CHECK_EQ(first_bad_utf8(text), text.size()) << text;
  for (const unsigned char c : text) CHECK(c >= 0x20 && c != 0x7F) << text;
  CHECK_LE(text.size(), kLongestLine) << text;
}

const std::filesystem::path& folder() {
  static const Folder folder;
  return folder.path();
}

std::filesystem::path put(std::string_view name, BytesView content) {
  // Opened once: that costs more than to write into it. Unless whoever reads has put another in its
  // place meanwhile.
  struct Kept {
    std::filesystem::path path;
    int fd = -1;
  };
  static std::map<std::string, Kept, std::less<>> files;
  auto file = files.find(name);
  if (file == files.end()) file = files.emplace(std::string(name), Kept{folder() / name, -1}).first;
  Kept& kept = file->second;
  struct stat there {};
  if (kept.fd >= 0 && (::fstat(kept.fd, &there) != 0 || there.st_nlink == 0)) {
    ::close(kept.fd);
    kept.fd = -1;
  }
  if (kept.fd < 0)
    kept.fd = ::open(kept.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(kept.fd >= 0) << kept.path;
  const ssize_t written = ::pwrite(kept.fd, content.data(), content.size(), 0);
  CHECK_EQ(written, static_cast<ssize_t>(content.size())) << kept.path;
  if (there.st_size > written) {
    CHECK_EQ(::ftruncate(kept.fd, written), 0) << kept.path;
  }
  return kept.path;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find(from, at), text.size());
    out += text.substr(at, next - at);
    if (next == text.size()) break;
    out += to;
    at = next + from.size();
  }
  return out;
}

}  // namespace reef::fuzz
