#pragma once
// The writer of the audit log.

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "security/audit/head.h"

namespace reef::security {

/// Appends events to a log that other processes (`atoll token create`) may append to as well.
/// Thread: append from any; it never waits for the disk, since links live on the thread that calls.
/// Order: as appended. Memory: at most kMostWaiting events wait; more are counted as lost, and a
/// line says so. Failure: an event that cannot be written is reported to the process's log and
/// counted as lost. Durability: what waits is written together, then fsync, then the head (whole or
/// not at all); the destructor writes what waits.
class AuditLog {
 public:
  static constexpr std::size_t kMostWaiting = 1024;
  using UnixNow = std::function<std::uint64_t()>;

  /// Makes the log, or looks whether an existing one is whole up to its head. Lines beyond the head
  /// come from a writer that died: they stay, and a line `recovered` says so; a torn last line is
  /// cut. kData when log and head do not belong together: then somebody was here, and nothing is
  /// written.
  static Result<std::unique_ptr<AuditLog>> open(const std::filesystem::path& path,
                                                std::shared_ptr<const NodeKey> key,
                                                UnixNow unix_now);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void append(std::string kind, std::string subject, std::string detail);
  /// Waits until what was appended before is on the disk, or has failed to get there.
  void flush();

 private:
  AuditLog(std::filesystem::path path, std::shared_ptr<const NodeKey> key, UnixNow unix_now);
  void run();
  Status write(const std::vector<std::pair<std::uint64_t, AuditEvent>>& events);
  Status catch_up(std::vector<AuditEvent>& first);
  Status recover(const AuditHead& head, std::vector<AuditEvent>& first);
  Status write_lines(const std::string& lines);

  const std::filesystem::path path_;
  const std::shared_ptr<const NodeKey> key_;
  const UnixNow unix_now_;

  // The writer's thread, and open() before there is one.
  AuditHead head_;
  std::uint64_t size_ = 0;
  std::string head_text_;  ///< as it stands on the disk when size_ and head_ are right

  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::vector<std::pair<std::uint64_t, AuditEvent>> waiting_;
  std::uint64_t lost_ = 0;
  std::uint64_t appended_ = 0;
  std::uint64_t settled_ = 0;  ///< of the appended ones: written or lost
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace reef::security
