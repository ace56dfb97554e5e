#pragma once
// The folder in which a process keeps who it is: node.key (mode 0600), credential, authority.pub,
// scheduler.pub, and, where there are any, cluster.policy and roster.

#include <filesystem>

#include "runtime/link/secure/secure_link.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/grant.h"
#include "security/identity/keys.h"
#include "security/identity/roster.h"

namespace reef::node {

struct Identity {
  link::secure::Local local;
  security::PublicKey
      scheduler{};  ///< Noise key of the cluster's scheduler, whom this process dials
  std::string name;
  std::string datacenter;
  security::Credential credential;  ///< what local.credential says
  security::ClusterPolicy policy;
  std::string policy_text;  ///< as signed; empty for the default
  std::string roster;       ///< the newest that was seen, as signed; empty before the first
  std::filesystem::path folder;
};

/// kPath, kKeyPerm, kData (not such a key) or kRefused (the credential), naming the file; kUsage
/// when the cluster's cipher cannot be had here.
Result<Identity> load_identity(const std::filesystem::path& folder);

/// Makes the folder of one member: a new key and a credential signed by `authority`. The
/// scheduler's own key is made first and passed to everybody else. `policy` is signed, or empty.
Status write_identity(const std::filesystem::path& folder, const security::Authority& authority,
                      std::string name, security::Role role, std::string datacenter,
                      const security::NodeKey& key, const security::PublicKey& scheduler,
                      const std::string& policy = "");

/// Puts what was granted to `key` into `folder`, file by file, each whole, `node.key` first and
/// `credential` last; after a crash between them, do it again. Every other file there stays, a
/// policy too if the grant has none. kRefused, and nothing is written, when the grant is not for
/// this key.
Status install_identity(const std::filesystem::path& folder, const security::NodeKey& key,
                        const security::Grant& grant);

/// Takes a renewed credential, and a newer policy, which counts from the next start. Nothing is
/// written: save_credential() blocks. kRefused unless it is ours, see check_successor().
Status take_issued(Identity& identity, const Bytes& credential, const std::string& policy);

/// Writes credential and policy of an identity, or its roster, into its folder.
Status save_credential(const Identity& identity);
Status save_roster(const std::filesystem::path& folder, const std::string& roster);

/// A scheduler whose authority is at hand gives itself a new credential in `folder`, expired or
/// not.
Status reissue_identity(const std::filesystem::path& folder, const security::Authority& authority,
                        std::uint64_t unix_now);

}  // namespace reef::node
