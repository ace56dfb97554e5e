#include "scheduler/service/trust.h"

#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "security/crypto/text.h"

namespace reef::service {
namespace {

/// For the one message of who enrols, and the answer.
constexpr Duration kEnrolTime = std::chrono::seconds(5);
constexpr std::size_t kMostEnrolments = 64;
constexpr Duration kLookEvery = std::chrono::seconds(1);

/// Tells one state of a file from another without reading it; empty when there is none. With the
/// time of its last change of any kind: a file that we may read only since a `chmod` is another.
std::string file_state(const std::filesystem::path& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return "";
  return std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " +
         std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + " " +
         std::to_string(info.st_ctim.tv_sec) + "." + std::to_string(info.st_ctim.tv_nsec);
}

}  // namespace

Trust::Trust(link::Loop& loop, node::Identity& identity, Store& store, TrustOptions options,
             TellAll tell_all)
    : loop_(loop),
      identity_(identity),
      store_(store),
      options_(std::move(options)),
      tell_all_(std::move(tell_all)),
      sessions_(loop, identity.local.authority, identity.policy, identity.local.unix_now),
      issuer_(store, identity, options_.authority),
      own_renewal_(loop, identity.credential, identity.policy.credential_lifetime,
                   identity.local.unix_now, [this] { renew_own(); }) {}

Trust::~Trust() {
  for (const auto& [kind, count] : strangers_.take_left_out()) note_suppressed(kind, count);
}

Status Trust::load() {
  ATOLL_ASSIGN(const std::string kept, store_.roster());
  // The database remembers across a roster file that was deleted or put back.
  if (!kept.empty()) ATOLL_TRY(sessions_.take_roster(kept));
  ATOLL_TRY(load_folders_roster());
  roster_seen_ = file_state(options_.roster_file);
  if (!roster_seen_.empty()) {
    ATOLL_ASSIGN(const std::string text, read_file(options_.roster_file, security::kMaxRoster));
    const auto taken = take_roster(text);
    if (!taken.ok()) {
      note("roster-refused", options_.roster_file.string(), taken.error().text());
      return Error{taken.error().code, options_.roster_file.string(), taken.error().what};
    }
  }
  watch_roster();
  return {};
}

/// The database is the one that is kept up to date, so the folder's may be older, but the
/// database may also be a copy of yesterday's.
Status Trust::load_folders_roster() {
  if (identity_.roster.empty()) return {};
  ATOLL_ASSIGN(const auto roster,
               security::verify_roster(identity_.roster, identity_.local.authority));
  if (roster.version < sessions_.roster().version) return {};
  ATOLL_TRY(take_roster(identity_.roster));
  return {};
}

void Trust::guard(link::secure::Local& local) {
  local.admit = [this](const security::Credential& who) { return sessions_.admit(who); };
  local.token_psk = [this](const security::TokenId& id) { return issuer_.token_psk(id); };
}

void Trust::enrol(std::unique_ptr<link::secure::SecureLink> link) {
  if (enrolments_.size() >= kMostEnrolments) {
    return note_stranger("enrolment-refused", link->peer_name(), "too many at once");
  }
  const std::uint64_t id = next_enrolment_++;
  link::secure::SecureLink& line = *link;
  enrolments_.emplace(id, std::move(link));
  loop_.at(loop_.clock().now() + kEnrolTime, [this, id] { end_enrolment(id); });
  line.start([this, id](Bytes message) { enrolment_message(id, message); },
             [this, id](const Error&) { loop_.post([this, id] { end_enrolment(id); }); });
}

void Trust::enrolment_message(std::uint64_t id, BytesView message) {
  const auto found = enrolments_.find(id);
  if (found == enrolments_.end()) return;
  link::secure::SecureLink& line = *found->second;
  const security::Credential& peer = line.peer();
  const auto enrolled = issuer_.enrol(peer.name, peer.noise_key, message, sessions_.roster());
  if (enrolled.ok()) {
    const security::Credential& who = enrolled->credential;
    const std::string detail = "with token " + peer.name + "; role " +
                               std::string(role_name(who.role)) + ", datacenter " + who.datacenter +
                               ", node " + security::to_hex(who.node_id()) + ", serial " +
                               std::to_string(who.serial);
    log_info("enrolled " + who.name + " " + detail);
    note("enrolled", who.name, detail);
    line.send(enrolled->bytes, loop_.clock().now() + kEnrolTime, nullptr);
  } else {
    note_stranger("enrolment-refused", line.peer_name(), enrolled.error().text());
  }
  // Later, because this is the link's own callback; what was sent goes out before the farewell.
  loop_.post([this, id] { end_enrolment(id); });
}

void Trust::end_enrolment(std::uint64_t id) {
  const auto found = enrolments_.find(id);
  if (found == enrolments_.end()) return;
  found->second->close();
  enrolments_.erase(found);
}

Result<std::optional<link::Message>> Trust::renew(node::Sessions::Id session,
                                                  security::Credential& held, Time& next) {
  const std::chrono::seconds lifetime = identity_.policy.credential_lifetime;
  const Time now = loop_.clock().now();
  if (now < next || !node::renewal_open(held, lifetime, identity_.local.unix_now()))
    return std::optional<link::Message>();
  next = now + Duration(lifetime) / 96;
  auto issued = issuer_.renew(held, sessions_.roster());
  if (!issued.ok()) {
    note_stranger("renewal-refused", held.name, issued.error().text());
    return issued.error();
  }
  ATOLL_TRY(sessions_.renewed(session, issued->bytes));
  note(
      "renewed", held.name,
      "serial " + std::to_string(held.serial) + " by " + std::to_string(issued->credential.serial));
  held = std::move(issued->credential);
  return std::optional(node::issued_message({issued->bytes, identity_.policy_text}));
}

node::Sessions::Id Trust::joined(const security::Credential& credential,
                                 node::Sessions::Drop drop) {
  if (const Status kept = issuer_.remember(credential); !kept.ok()) log_error(kept.error().text());
  return sessions_.add(credential,
                       [this, name = credential.name, drop = std::move(drop)](const Error& why) {
                         note("session-dropped", name, why.text());
                         drop(why);
                       });
}

void Trust::note(const std::string& kind, const std::string& subject, const std::string& detail) {
  if (options_.audit) options_.audit->append(kind, subject, detail);
}

void Trust::note_stranger(const std::string& kind, const std::string& subject,
                          const std::string& detail) {
  const auto left_out = strangers_.admit(kind, identity_.local.unix_now());
  if (!left_out) return;
  if (*left_out > 0) note_suppressed(kind, *left_out);
  log_warning(kind + ": " + subject + ": " + detail);
  note(kind, subject, detail);
}

void Trust::note_suppressed(const std::string& kind, std::uint64_t count) {
  note("suppressed", kind, std::to_string(count) + " events");
}

void Trust::renew_own() {
  const auto issued = issuer_.renew(identity_.credential, sessions_.roster());
  if (!issued.ok()) return log_warning("the scheduler's own credential: " + issued.error().text());
  if (const Status taken = node::take_issued(identity_, issued->bytes, ""); !taken.ok())
    return log_error(taken.error().text());
  own_renewal_.renewed(identity_.credential);
  note("renewed", identity_.name, "serial " + std::to_string(identity_.credential.serial));
  tell_all_(node::present_message(issued->bytes));
  loop_.run_blocking([identity = identity_] {
    if (const Status saved = node::save_credential(identity); !saved.ok())
      log_warning("the renewed credential is not kept: " + saved.error().text());
  });
}

void Trust::watch_roster() {
  if (options_.roster_file.empty()) return;
  loop_.at(loop_.clock().now() + kLookEvery, [this] {
    const std::string state = file_state(options_.roster_file);
    if (state != std::exchange(roster_seen_, state) && !state.empty()) read_roster_file();
    watch_roster();
  });
}

void Trust::read_roster_file() {
  const auto refused = [this](const Error& why) {
    log_error("roster file " + options_.roster_file.string() + ": " + why.text());
    note("roster-refused", options_.roster_file.string(), why.text());
  };
  const auto text = read_file(options_.roster_file, security::kMaxRoster);
  if (!text.ok()) return refused(text.error());
  if (const auto taken = take_roster(*text); !taken.ok()) refused(taken.error());
}

Result<bool> Trust::take_roster(const std::string& text) {
  // When this returns, the revoked have no session here; the others hear of it next.
  ATOLL_ASSIGN(const bool newer, sessions_.take_roster(text));
  if (!newer) return false;
  const security::Roster& roster = sessions_.roster();
  const std::string detail = std::to_string(roster.nodes.size()) + " nodes, " +
                             std::to_string(roster.serials.size()) + " serials";
  log_info("roster " + std::to_string(roster.version) + ": " + detail);
  note("roster", "version " + std::to_string(roster.version), detail);
  // Kept before it is told, or a restart would know less than the members do. Told even if it
  // cannot be kept, because the revoked must fall everywhere.
  const Status kept = store_.set_roster(text);
  tell_all_(node::roster_message(text));
  if (!kept.ok()) return kept.error();
  return true;
}

}  // namespace reef::service
