#pragma once
// What the scheduler remembers across its own death: jobs, nodes and epochs, in SQLite with a
// write-ahead log.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "scheduler/topology/topology.h"

struct sqlite3;

namespace reef::service {

struct JobRecord {
  std::int64_t id = 0;
  std::string name;
  std::string state;   ///< "waiting", "running", "stopping", "succeeded", "stopped", "failed"
  std::string reason;  ///< why it waits or failed
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;
  std::string run_folder;
};

/// Thread: one at a time. Failure: kIo with SQLite's own words.
class Store {
 public:
  /// Opens or makes the database; ":memory:" for tests.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Result<std::int64_t> add_job(const std::string& name, const std::string& descriptor,
                               const std::string& run_folder);
  Status set_job(std::int64_t id, const std::string& state, const std::string& reason,
                 std::uint64_t step);
  /// A new epoch, larger than every earlier one, now held by the job.
  Result<std::uint64_t> next_epoch(std::int64_t job);
  Status add_node(const std::string& name, const std::string& datacenter,
                  const std::string& address);
  Result<std::vector<JobRecord>> jobs() const;
  /// What was measured between two datacenters; the latest counts.
  Status set_line(const topology::Line& line);
  Result<std::vector<topology::Line>> lines() const;

 private:
  explicit Store(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace reef::service
