#include "security/audit/verify.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/file.h"

namespace reef::security {
namespace {

namespace fs = std::filesystem;

/// Lines of a file, each with its end, through a buffer of fixed size.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  ~LineReader() { ::close(fd_); }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line; empty at the end. A line that is too long, or has no end, comes as far as it
  /// was read. False when the file cannot be read.
  bool next(std::string_view& line) {
    for (;;) {
      const auto end = std::string_view(buffer_).find('\n', at_);
      if (end != std::string::npos) {
        line = std::string_view(buffer_).substr(at_, end + 1 - at_);
        at_ = end + 1;
        return true;
      }
      if (buffer_.size() - at_ > kMaxAuditLine || ended_) {
        line = std::string_view(buffer_).substr(at_);
        at_ = buffer_.size();
        return true;
      }
      if (!fill()) return false;
    }
  }

 private:
  bool fill() {
    buffer_.erase(0, at_);
    at_ = 0;
    char block[32 * 1024];
    ssize_t n = 0;
    do {
      n = ::read(fd_, block, sizeof block);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return false;
    ended_ = n == 0;
    buffer_.append(block, static_cast<std::size_t>(n));
    return true;
  }

  int fd_;
  std::string buffer_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

Error bad_line(const fs::path& log, std::uint64_t number, std::string what) {
  return {Code::kData, log.string() + ":" + std::to_string(number), std::move(what)};
}

}  // namespace

Result<AuditScan> scan_audit_log(const fs::path& log, const AuditHead& mark) {
  AuditScan scan;
  scan.passed_mark = mark == scan.end;
  const int fd = ::open(log.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return scan;
  if (fd < 0) return Error{Code::kPath, log.string(), std::strerror(errno)};
  LineReader reader(fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return Error{Code::kPath, log.string(), "is not a regular file"};
  for (;;) {
    std::string_view text;
    if (!reader.next(text)) return Error{Code::kPath, log.string(), std::strerror(errno)};
    if (text.empty()) return scan;
    const std::uint64_t number = scan.end.lines + 1;
    if (!text.ends_with('\n') && text.size() <= kMaxAuditLine) {
      scan.torn = text.size();
      return scan;
    }
    const auto line = parse_audit_line(text);
    if (!line.ok()) return bad_line(log, number, "this is not a line of an audit log");
    if (line->number != number)
      return bad_line(log, number,
                      "this line says that it is number " + std::to_string(line->number) +
                          "; lines were removed, added or moved");
    if (line->previous != scan.end.last)
      return bad_line(log, number,
                      number == 1 ? "this is not the first line of a log"
                                  : "the line before was changed, or this line is not from here");
    scan.end = {number, audit_hash(text)};
    scan.size += text.size();
    if (scan.end == mark) scan.passed_mark = true;
  }
}

Result<AuditHead> verify_audit_log(const fs::path& log, const PublicKey& key) {
  return verify_audit_log(log, key, AuditHead{});
}

Result<AuditHead> verify_audit_log(const fs::path& log, const PublicKey& key,
                                   const AuditHead& earlier) {
  ATOLL_ASSIGN(const std::string text, read_file(audit_head_path(log), kMaxAuditHead));
  ATOLL_ASSIGN(const AuditHead head, verify_audit_head(text, key));
  ATOLL_ASSIGN(const AuditScan scan, scan_audit_log(log, earlier));
  const std::uint64_t lines = scan.end.lines;
  if (lines < head.lines) {
    return bad_line(log, lines + 1,
                    "the log ends here, but its signed head speaks of " +
                        std::to_string(head.lines) + " lines; it was truncated");
  }
  if (scan.torn != 0) return bad_line(log, lines + 1, "this line has no end");
  if (lines > head.lines) {
    return bad_line(log, head.lines + 1,
                    "from here on the signed head does not cover the log: lines were added, or "
                    "the scheduler died while it wrote and has not started again");
  }
  // Nothing after the last line holds its hash, so that a change of it shows only here.
  if (scan.end.last != head.last)
    return bad_line(log, lines, "the last line is not the one that the head was signed for");
  if (!scan.passed_mark) {
    return bad_line(log, earlier.lines,
                    "the earlier head does not stand in this log; it was written anew or put back");
  }
  return head;
}

}  // namespace reef::security
