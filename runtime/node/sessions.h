#pragma once
// The sealed sessions of a process, each with the credential that opened it, so that none outlives
// the right to it: a revoked peer is dropped at once, an expired one after a grace.

#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "runtime/link/executor.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/roster.h"

namespace reef::node {

/// Thread: the executor's. Order: a session is dropped once, from its timer or from take_roster(),
/// never inside add(). Memory: a Drop may destroy the session's link, and may call remove().
class Sessions {
 public:
  using Id = std::uint64_t;
  using Drop = std::function<void(const Error& why)>;
  using UnixNow = std::function<std::uint64_t()>;

  Sessions(link::Executor& executor, const security::PublicKey& authority,
           const security::ClusterPolicy& policy, UnixNow unix_now);
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  /// Whether a peer may open a session; kRefused when it was revoked. For link::secure::Local.
  Status admit(const security::Credential& credential) const;
  Id add(security::Credential credential, Drop drop);
  void remove(Id id);
  /// The peer shows a newer credential. kRefused, and the old one stays, unless the authority
  /// signed it for the same keys, name, role and datacenter.
  Status renewed(Id id, BytesView signed_credential);

  /// As security::RosterHolder::take; a new roster drops whom it revokes before this returns.
  Result<bool> take_roster(std::string_view text);
  /// The newest, as signed; empty before the first.
  const std::string& roster_text() const { return holder_.text(); }
  const security::Roster& roster() const { return holder_.roster(); }
  std::size_t size() const { return sessions_.size(); }

 private:
  struct Session {
    security::Credential credential;
    Drop drop;
  };
  void tick();
  Status standing(const security::Credential& credential) const;
  void drop_fallen();

  link::Executor& executor_;
  const security::PublicKey authority_;
  const std::chrono::seconds grace_;
  const UnixNow unix_now_;
  security::RosterHolder holder_;
  std::map<Id, Session> sessions_;
  Id next_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< the timer may outlive us
};

/// Whether `next` may take the place of `old`: the same member, for longer.
Status check_successor(const security::Credential& old, const security::Credential& next);

}  // namespace reef::node
