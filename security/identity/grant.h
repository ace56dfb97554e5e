#pragma once
// What a machine gets back when its request is granted: all that its identity folder needs beside
// its own key. Nothing in it is secret.

#include <string>

#include "runtime/base/error.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/credential.h"
#include "security/identity/keys.h"

namespace reef::security {

enum GrantLimit : std::size_t { kMaxGrant = 4096 };

struct Grant {
  Bytes credential;       ///< signed
  PublicKey authority{};  ///< who is trusted from now on, so take grants from a trusted hand only
  PublicKey scheduler{};  ///< its Noise key
  std::string policy;     ///< signed; empty for the default
  bool operator==(const Grant&) const = default;
};

Bytes encode_grant(const Grant& grant);
/// kProto for anything malformed. Nothing in it is believed yet.
Result<Grant> parse_grant(BytesView bytes);

/// Checks that the grant is consistent and for us: the credential is signed by its authority, valid
/// now and made for this key, and the policy is signed, too. kRefused otherwise.
Result<Credential> check_grant(const Grant& grant, const NodeKey& key, std::uint64_t unix_now);

}  // namespace reef::security
