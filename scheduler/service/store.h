#pragma once
// What the scheduler remembers across its own death: jobs, nodes, epochs, enrolment tokens, members
// and the roster, in SQLite with a write-ahead log. Several processes may have it open: `atoll
// token` works beside a running scheduler.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
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

/// An enrolment token as it is kept; its secret is not.
struct TokenRecord {
  std::string id;
  std::string role;
  std::string datacenter;
  std::string psk;       ///< of the handshake, in base64
  std::string verifier;  ///< hash of the secret, in hexadecimal
  std::uint64_t created = 0;
  std::uint64_t not_after = 0;
  std::string used_by;  ///< the member that enrolled with it; empty: nobody yet
  bool revoked = false;
};

/// Whom the scheduler knows by name, and by which key.
struct MemberRecord {
  std::string name;
  std::string role;
  std::string datacenter;
  std::string node_id;  ///< in hexadecimal
  std::uint64_t serial = 0;
  std::uint64_t not_after = 0;
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

  Status add_token(const TokenRecord& token);
  Result<std::optional<TokenRecord>> token(const std::string& id) const;
  Result<std::vector<TokenRecord>> tokens() const;
  /// kRefused when there is no such token, or it was used or revoked already.
  Status revoke_token(const std::string& id);
  /// Consumes the token and remembers the member, both or neither, and on the disk when it returns.
  /// kRefused when the token is used, revoked or expired by now: of two who try, one succeeds.
  Status use_token(const std::string& id, std::uint64_t unix_now, const MemberRecord& member);

  Result<std::optional<MemberRecord>> member(const std::string& name) const;
  Status set_member(const MemberRecord& member);

  /// The newest roster that was seen, as signed; empty before the first.
  Result<std::string> roster() const;
  Status set_roster(const std::string& text);

 private:
  explicit Store(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace reef::service
