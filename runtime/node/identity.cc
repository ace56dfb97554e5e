#include "runtime/node/identity.h"

#include <algorithm>

#include "runtime/base/file.h"
#include "runtime/node/sessions.h"

namespace reef::node {
namespace {

namespace fs = std::filesystem;

/// Of the control links; a job's own peerTimeout holds between its nodes.
constexpr Duration kControlPing = std::chrono::seconds(1);
constexpr Duration kControlLost = std::chrono::seconds(5);

Result<security::PublicKey> read_public(const fs::path& path) {
  ATOLL_ASSIGN(const std::string content, read_file(path, 4096));
  security::PublicKey key{};
  if (content.size() != key.size())
    return Error{Code::kPath, path.string(), "is not a public key of 32 bytes"};
  std::copy_n(reinterpret_cast<const std::byte*>(content.data()), key.size(), key.begin());
  return key;
}

/// Empty when there is none.
Result<std::string> read_optional(const fs::path& path, std::size_t limit) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::string();
  return read_file(path, limit);
}

Status load_policy(Identity& identity) {
  const fs::path path = identity.folder / "cluster.policy";
  ATOLL_ASSIGN(identity.policy_text, read_optional(path, security::kMaxClusterPolicy));
  if (!identity.policy_text.empty()) {
    auto policy = security::verify_policy(identity.policy_text, identity.local.authority);
    if (!policy.ok()) return Error{policy.error().code, path.string(), policy.error().what};
    identity.policy = *policy;
  }
  ATOLL_TRY(security::check_cipher(identity.policy.cipher, security::has_aes()));
  identity.local.suite = identity.policy.cipher == security::Cipher::kAesGcm
                             ? link::secure::SuiteId::kAesGcm
                             : link::secure::SuiteId::kChaChaPoly;
  return {};
}

Status load_roster(Identity& identity) {
  const fs::path path = identity.folder / "roster";
  ATOLL_ASSIGN(identity.roster, read_optional(path, security::kMaxRoster));
  if (identity.roster.empty()) return {};
  const auto roster = security::verify_roster(identity.roster, identity.local.authority);
  if (!roster.ok()) return Error{roster.error().code, path.string(), roster.error().what};
  return {};
}

/// Each member whole or not at all. The key first, so that nothing is there that nobody can use,
/// and the credential last: until it is there, or while it is of the old key, the folder does not
/// load.
Status write_members(const fs::path& folder, const security::NodeKey& key,
                     const security::Grant& grant) {
  ATOLL_TRY(key.save(folder / "node.key"));
  ATOLL_TRY(write_file(folder / "authority.pub", grant.authority));
  ATOLL_TRY(write_file(folder / "scheduler.pub", grant.scheduler));
  if (!grant.policy.empty())
    ATOLL_TRY(write_file(folder / "cluster.policy", as_bytes(grant.policy)));
  return write_file(folder / "credential", grant.credential);
}

Result<Bytes> issue(const security::Authority& authority, security::Credential credential,
                    const security::ClusterPolicy& policy, std::uint64_t unix_now) {
  credential.cluster = authority.cluster();
  credential.not_after = unix_now + static_cast<std::uint64_t>(policy.credential_lifetime.count());
  credential.serial = security::random_serial();
  return authority.issue(credential);
}

}  // namespace

Result<Identity> load_identity(const fs::path& folder) {
  Identity identity;
  identity.folder = folder;
  ATOLL_ASSIGN(auto key, security::NodeKey::load(folder / "node.key"));
  ATOLL_ASSIGN(const std::string credential, read_file(folder / "credential", 4096));
  ATOLL_ASSIGN(identity.local.authority, read_public(folder / "authority.pub"));
  ATOLL_ASSIGN(identity.scheduler, read_public(folder / "scheduler.pub"));
  identity.local.cluster = security::cluster_id_of(identity.local.authority);
  identity.local.credential = to_bytes(as_bytes(credential));
  const auto verified =
      security::verify_credential(identity.local.credential, identity.local.authority,
                                  identity.local.cluster, identity.local.unix_now());
  if (!verified.ok()) {
    return Error{Code::kRefused, (folder / "credential").string(), verified.error().what};
  }
  identity.credential = *verified;
  const security::Credential& own = identity.credential;
  identity.local.role = own.role;
  identity.local.ping_every = kControlPing;
  identity.local.lost_after = kControlLost;
  identity.name = own.name;
  identity.datacenter = own.datacenter;
  if (own.noise_key != key.noise_key() || own.identity_key != key.identity_key()) {
    return Error{Code::kRefused, (folder / "credential").string(),
                 "belongs to another key than node.key"};
  }
  ATOLL_TRY(load_policy(identity));
  ATOLL_TRY(load_roster(identity));
  identity.local.key = std::make_shared<const security::NodeKey>(std::move(key));
  return identity;
}

Status write_identity(const fs::path& folder, const security::Authority& authority,
                      std::string name, security::Role role, std::string datacenter,
                      const security::NodeKey& key, const security::PublicKey& scheduler,
                      const std::string& policy) {
  security::ClusterPolicy terms;
  if (!policy.empty()) {
    ATOLL_ASSIGN(terms, security::verify_policy(policy, authority.public_key()));
  }
  security::Credential credential;
  credential.name = std::move(name);
  credential.noise_key = key.noise_key();
  credential.identity_key = key.identity_key();
  credential.role = role;
  credential.datacenter = std::move(datacenter);
  ATOLL_ASSIGN(const Bytes issued,
               issue(authority, credential, terms, link::secure::system_unix_now()));
  return write_members(folder, key, {issued, authority.public_key(), scheduler, policy});
}

Status install_identity(const fs::path& folder, const security::NodeKey& key,
                        const security::Grant& grant) {
  ATOLL_TRY(security::check_grant(grant, key, link::secure::system_unix_now()));
  return write_members(folder, key, grant);
}

Status take_issued(Identity& identity, const Bytes& credential, const std::string& policy) {
  const link::secure::Local& local = identity.local;
  ATOLL_ASSIGN(auto next, security::verify_credential(credential, local.authority, local.cluster,
                                                      local.unix_now()));
  ATOLL_TRY(check_successor(identity.credential, next));
  if (!policy.empty()) {
    ATOLL_ASSIGN(const auto terms, security::verify_policy(policy, local.authority));
    // Against the text, which may be newer than the policy that has counted since the start.
    security::ClusterPolicy last;
    if (!identity.policy_text.empty()) {
      ATOLL_ASSIGN(last, security::verify_policy(identity.policy_text, local.authority));
    }
    if (identity.policy_text.empty() || terms.version > last.version) identity.policy_text = policy;
  }
  identity.credential = std::move(next);
  identity.local.credential = credential;
  return {};
}

Status save_credential(const Identity& identity) {
  if (!identity.policy_text.empty())
    ATOLL_TRY(write_file(identity.folder / "cluster.policy", as_bytes(identity.policy_text)));
  return write_file(identity.folder / "credential", identity.local.credential);
}

Status save_roster(const fs::path& folder, const std::string& roster) {
  return write_file(folder / "roster", as_bytes(roster));
}

Status reissue_identity(const fs::path& folder, const security::Authority& authority,
                        std::uint64_t unix_now) {
  ATOLL_ASSIGN(const std::string old, read_file(folder / "credential", 4096));
  ATOLL_ASSIGN(const auto credential,
               security::verify_issued(as_bytes(old), authority.public_key()));
  ATOLL_ASSIGN(const std::string text,
               read_optional(folder / "cluster.policy", security::kMaxClusterPolicy));
  security::ClusterPolicy policy;
  if (!text.empty()) {
    ATOLL_ASSIGN(policy, security::verify_policy(text, authority.public_key()));
  }
  ATOLL_ASSIGN(const Bytes issued, issue(authority, credential, policy, unix_now));
  return write_file(folder / "credential", issued);
}

}  // namespace reef::node
