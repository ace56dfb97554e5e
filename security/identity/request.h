#pragma once
// What a machine asks of the authority: a credential for these public keys. Carried as a file to an
// authority that is offline, or inside an enrolment.

#include "runtime/base/error.h"
#include "security/identity/credential.h"
#include "security/identity/keys.h"

namespace reef::security {

enum RequestLimit : std::size_t { kMaxRequest = 700 };

/// A value. The asker says what it wants to be; the authority decides.
struct CredentialRequest {
  Role role = Role::kNode;
  std::string name;
  std::string datacenter;
  PublicKey noise_key{};
  PublicKey identity_key{};
  bool operator==(const CredentialRequest&) const = default;
};

/// Signs with the identity key that is in it, which proves that the asker holds that key and means
/// this Noise key to be its own. kUsage as encode_credential.
Result<Bytes> sign_request(const NodeKey& key, Role role, const std::string& name,
                           const std::string& datacenter);

/// kProto when malformed, kRefused when the signature is not that of its own identity key.
Result<CredentialRequest> parse_request(BytesView signed_request);

}  // namespace reef::security
