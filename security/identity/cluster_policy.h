#pragma once
// What everybody of a cluster must mean the same, said once by its authority and carried in each
// identity folder: the cipher, which is never negotiated, and how long credentials last.

#include <chrono>
#include <string>
#include <string_view>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "security/identity/credential.h"
#include "security/identity/keys.h"

namespace reef::security {

enum ClusterPolicyLimit : std::size_t { kMaxClusterPolicy = 1024 };

/// A value. A cluster without a policy file has this one.
struct ClusterPolicy {
  std::uint64_t version = 0;  ///< a later one replaces an earlier one, never the reverse
  Cipher cipher = Cipher::kChaChaPoly;
  std::chrono::seconds credential_lifetime{24 * 3600};  ///< 1 minute to 1 year

  /// How long a session outlives the credential that opened it: 5 minutes, or a tenth of the
  /// lifetime if that is less. Clocks differ, and a scheduler may be away while its nodes renew.
  std::chrono::seconds grace() const;
  bool operator==(const ClusterPolicy&) const = default;
};

/// "ChaChaPoly" and "AESGCM".
std::string_view cipher_name(Cipher cipher);
Result<Cipher> cipher_named(std::string_view name);

/// kUsage for a lifetime out of range.
Result<std::string> sign_policy(const ClusterPolicy& policy, const Authority& authority);
/// kData when malformed, kRefused when it is another authority's.
Result<ClusterPolicy> verify_policy(std::string_view text, const PublicKey& authority);
/// Without believing it: signature NOT checked.
Result<ClusterPolicy> parse_policy(std::string_view text);

/// kUsage when the cluster's cipher cannot be had on a processor with or without AES instructions.
Status check_cipher(Cipher cipher, bool processor_has_aes);

}  // namespace reef::security
