#pragma once
// What was let out of a model, by whatever services: an account is of a model, not of a process,
// and a service that is started again must not begin to count anew.

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace reef::actors {

/// `privacy.json` in the model's folder, {"rho": 0.5, "positions": 40000}. It is one process's at a
/// time. Thread: one. A copy of the model's folder is an account of its own from then on.
class PrivacyLedger {
 public:
  /// Failure: kRefused while another service has it; kPath where it cannot be kept; kData for what
  /// is no ledger.
  static Result<PrivacyLedger> open(const std::filesystem::path& model);

  /// Of all services before.
  double rho() const { return rho_; }
  std::uint64_t positions() const { return positions_; }

  /// Adds what this service has spent in all: on the disk when it returns, so that what leaves
  /// behind it is accounted for whenever the process ends. Failure: kPath, kIo.
  Status keep(double rho, std::uint64_t positions) const;

 private:
  PrivacyLedger(std::filesystem::path path, FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  Status read();

  std::filesystem::path path_;
  FileLock lock_;
  double rho_ = 0;
  std::uint64_t positions_ = 0;
};

}  // namespace reef::actors
