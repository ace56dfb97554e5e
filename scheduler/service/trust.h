#pragma once
// All of the scheduler that is about who is who: enrolments, renewals, the roster, the audit log.
// The service itself knows members and jobs.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/link/channel/channel.h"
#include "runtime/link/loop.h"
#include "runtime/node/identity.h"
#include "runtime/node/protocol.h"
#include "runtime/node/renewal.h"
#include "runtime/node/sessions.h"
#include "scheduler/service/issuer.h"
#include "scheduler/service/store.h"
#include "security/audit/log.h"
#include "security/audit/throttle.h"

namespace reef::service {

struct TrustOptions {
  /// Signs credentials; null: none are given out.
  std::shared_ptr<const security::Authority> authority;
  /// Null: nothing is recorded, for tests.
  std::shared_ptr<security::AuditLog> audit;
  /// Where the operator puts new rosters (`atoll keys revoke`); looked at each second. May be
  /// empty.
  std::filesystem::path roster_file;
};

/// Thread: the loop's, load() and the constructor before anything is accepted.
/// Memory: `identity` changes when the scheduler's own credential is renewed.
class Trust {
 public:
  /// Sends a message to every member.
  using TellAll = std::function<void(const link::Message&)>;

  Trust(link::Loop& loop, node::Identity& identity, Store& store, TrustOptions options,
        TellAll tell_all);
  /// Tells the audit log what was left out of it.
  ~Trust();
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;

  /// The newest roster that was ever seen, from the database, the folder and the file. kRefused
  /// for a file that is older: its operator believes in something that does not hold.
  Status load();
  /// Puts the hooks for revocation and tokens into the identity's handshakes.
  void guard(link::secure::Local& local);

  /// Serves one machine that shook hands with a token.
  void enrol(std::unique_ptr<link::secure::SecureLink> link);
  /// The answer to a member that asks for another credential; `held` becomes the new one. None to
  /// who asks before node::renewal_open(), or before `next`, which an attempt moves on whatever
  /// comes of it: a member asks again after twice that time.
  Result<std::optional<link::Message>> renew(node::Sessions::Id session, security::Credential& held,
                                             Time& next);
  /// A member has come: remembers it, and returns its session.
  node::Sessions::Id joined(const security::Credential& credential, node::Sessions::Drop drop);
  node::Sessions& sessions() { return sessions_; }

  /// Into the audit log.
  void note(const std::string& kind, const std::string& subject, const std::string& detail);
  /// The same, and into the process's log, of what anybody on the network can cause: throttled,
  /// and what was left out is counted in a line `suppressed`.
  void note_stranger(const std::string& kind, const std::string& subject,
                     const std::string& detail);

 private:
  void note_suppressed(const std::string& kind, std::uint64_t count);
  void enrolment_message(std::uint64_t id, BytesView message);
  void end_enrolment(std::uint64_t id);
  void renew_own();
  Status load_folders_roster();
  void watch_roster();
  void read_roster_file();
  Result<bool> take_roster(const std::string& text);

  link::Loop& loop_;
  node::Identity& identity_;
  Store& store_;
  const TrustOptions options_;
  const TellAll tell_all_;
  node::Sessions sessions_;
  security::Throttle strangers_;
  Issuer issuer_;
  node::Renewal own_renewal_;
  std::map<std::uint64_t, std::unique_ptr<link::secure::SecureLink>> enrolments_;
  std::uint64_t next_enrolment_ = 1;
  std::string roster_seen_;  ///< the file as it was when it was last read
};

}  // namespace reef::service
