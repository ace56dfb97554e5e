#pragma once
// The folder in which a process keeps who it is: node.key (mode 0600), credential, authority.pub,
// scheduler.pub.

#include <filesystem>

#include "runtime/link/secure/secure_link.h"
#include "security/identity/keys.h"

namespace reef::node {

struct Identity {
  link::secure::Local local;
  security::PublicKey
      scheduler{};  ///< Noise key of the cluster's scheduler, whom this process dials
  std::string name;
  std::string datacenter;
};

/// kPath, kKeyPerm, kData (not such a key) or kRefused (the credential), naming the file.
Result<Identity> load_identity(const std::filesystem::path& folder);

/// Makes the folder of one member: a new key and a credential signed by `authority`. The
/// scheduler's own key is made first and passed to everybody else.
Status write_identity(const std::filesystem::path& folder, const security::Authority& authority,
                      std::string name, security::Role role, std::string datacenter,
                      const security::NodeKey& key, const security::PublicKey& scheduler);

}  // namespace reef::node
