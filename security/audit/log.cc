#include "security/audit/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "security/audit/verify.h"

namespace reef::security {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLogMode = 0640;

std::uint64_t size_of(const fs::path& path) {
  std::error_code absent;
  const auto size = fs::file_size(path, absent);
  return absent ? 0 : size;
}

}  // namespace

AuditLog::AuditLog(fs::path path, std::shared_ptr<const NodeKey> key, UnixNow unix_now)
    : path_(std::move(path)), key_(std::move(key)), unix_now_(std::move(unix_now)) {}

Result<std::unique_ptr<AuditLog>> AuditLog::open(const fs::path& path,
                                                 std::shared_ptr<const NodeKey> key,
                                                 UnixNow unix_now) {
  std::unique_ptr<AuditLog> log(new AuditLog(path, std::move(key), std::move(unix_now)));
  ATOLL_TRY(log->write({}));
  log->thread_ = std::thread([raw = log.get()] { raw->run(); });
  return log;
}

AuditLog::~AuditLog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void AuditLog::append(std::string kind, std::string subject, std::string detail) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMostWaiting) {
    ++lost_;
    return;
  }
  ++appended_;
  waiting_.emplace_back(unix_now_(),
                        AuditEvent{std::move(kind), std::move(subject), std::move(detail)});
  changed_.notify_all();
}

void AuditLog::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, all = appended_] { return settled_ >= all; });
}

void AuditLog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto events = std::exchange(waiting_, {});
    const std::uint64_t count = events.size();
    const std::uint64_t lost = std::exchange(lost_, 0);
    if (lost > 0) {
      events.insert(events.begin(),
                    {unix_now_(), {"lost", "audit log", std::to_string(lost) + " events"}});
    }
    lock.unlock();
    const Status written = write(events);
    if (!written.ok()) log_error("the audit log cannot be written: " + written.error().text());
    lock.lock();
    if (!written.ok()) lost_ += lost + count;
    settled_ += count;
    changed_.notify_all();
  }
}

/// Takes the lock that all writers of the log share, looks whether another one has written, and
/// appends.
Status AuditLog::write(const std::vector<std::pair<std::uint64_t, AuditEvent>>& events) {
  ATOLL_ASSIGN(const FileLock lock, FileLock::take(path_.string() + ".lock"));
  std::vector<AuditEvent> first;
  ATOLL_TRY(catch_up(first));
  std::string lines;
  AuditHead head = head_;
  const auto add = [&](std::uint64_t time, const AuditEvent& event) {
    const std::string line = encode_audit_line(head.lines + 1, time, event, head.last);
    head = {head.lines + 1, audit_hash(line)};
    lines += line;
  };
  for (const AuditEvent& event : first) add(unix_now_(), event);
  for (const auto& [time, event] : events) add(time, event);
  if (lines.empty()) return {};
  ATOLL_TRY(write_lines(lines));
  // Only now: a head must never promise lines that a crash could take away.
  const std::string text = sign_audit_head(head, *key_);
  ATOLL_TRY(write_file(audit_head_path(path_), as_bytes(text)));
  head_ = head;
  size_ += lines.size();
  head_text_ = text;
  return {};
}

/// Brings head_ and size_ up to the disk's. `first` is what must be written before all else.
Status AuditLog::catch_up(std::vector<AuditEvent>& first) {
  std::error_code ignored;
  const bool has_head = fs::exists(audit_head_path(path_), ignored);
  if (!has_head && (!head_text_.empty() || size_of(path_) != 0)) {
    return Error{Code::kData, audit_head_path(path_).string(),
                 "is missing; keep what is left of the log for an auditor and start a new one"};
  }
  if (!has_head) {
    // The head first: from now on a log without one was tampered with.
    head_text_ = sign_audit_head(head_, *key_);
    return write_file(audit_head_path(path_), as_bytes(head_text_));
  }
  ATOLL_ASSIGN(const std::string text, read_file(audit_head_path(path_), kMaxAuditHead));
  if (text == head_text_ && size_of(path_) == size_) return {};
  ATOLL_ASSIGN(const AuditHead head, verify_audit_head(text, key_->identity_key()));
  ATOLL_TRY(recover(head, first));
  head_text_ = text;
  return {};
}

Status AuditLog::recover(const AuditHead& head, std::vector<AuditEvent>& first) {
  ATOLL_ASSIGN(const AuditScan scan, scan_audit_log(path_, head));
  if (!scan.passed_mark) {
    return Error{
        Code::kData, path_.string(),
        "does not go with its signed head; 'atoll audit verify' says where; keep it for an "
        "auditor and start a new one"};
  }
  if (scan.torn != 0 && ::truncate(path_.c_str(), static_cast<off_t>(scan.size)) != 0)
    return Error{Code::kIo, path_.string(), std::strerror(errno)};
  if (scan.torn != 0 || scan.end.lines > head.lines) {
    first.push_back({"recovered", "audit log",
                     std::to_string(scan.end.lines - head.lines) + " lines after line " +
                         std::to_string(head.lines) + " were not under a signed head; " +
                         std::to_string(scan.torn) + " bytes of a torn line were cut"});
  }
  head_ = scan.end;
  size_ = scan.size;
  return {};
}

Status AuditLog::write_lines(const std::string& lines) {
  const int fd =
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLogMode);
  if (fd < 0) return Error{Code::kIo, path_.string(), std::strerror(errno)};
  std::string_view rest = lines;
  bool good = true;
  while (good && !rest.empty()) {
    const ssize_t n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    good = n > 0;
    if (good) rest.remove_prefix(static_cast<std::size_t>(n));
  }
  good = good && ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  if (!good) return Error{Code::kIo, path_.string(), std::strerror(why)};
  return {};
}

}  // namespace reef::security
