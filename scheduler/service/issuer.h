#pragma once
// The scheduler as the one who gives out credentials: to machines with a token, and to members
// whose credential will expire. It needs the authority's key; without it, both are refused and
// `atoll keys sign` is the way.

#include <memory>
#include <optional>
#include <string>

#include "runtime/node/identity.h"
#include "scheduler/service/store.h"
#include "security/identity/roster.h"
#include "security/identity/token.h"

namespace reef::service {

/// A token that is good for `ttl` seconds, once. Kept by `store`; only what is returned has the
/// secret. kUsage for the role scheduler, whose key is what everybody trusts, and for a datacenter
/// that is no name.
Result<security::EnrolmentToken> create_token(Store& store, const security::PublicKey& scheduler,
                                              security::Role role, const std::string& datacenter,
                                              std::uint64_t unix_now, std::uint64_t ttl);

/// Thread: one. Failure: every refusal says precisely why, for our log; the caller tells the peer
/// nothing.
class Issuer {
 public:
  using UnixNow = std::function<std::uint64_t()>;

  /// All must outlive it; `authority` may be null.
  Issuer(Store& store, const node::Identity& identity,
         std::shared_ptr<const security::Authority> authority);

  bool issues() const { return authority_ != nullptr; }
  /// The handshake's key of a token that may be used now.
  Result<security::SecretBytes> token_psk(const security::TokenId& id) const;

  struct Issued {
    security::Credential credential;
    Bytes bytes;  ///< signed; from enrol(), the whole grant
  };
  /// What a machine said after its handshake with token `id`, in which it proved `noise_key`.
  /// Everything is checked before the token is consumed, so that a mistake can be mended with the
  /// same token. A name belongs to the key that first had it, unless that node was revoked.
  Result<Issued> enrol(const std::string& id, const security::PublicKey& noise_key,
                       BytesView message, const security::Roster& roster);
  /// The same member, for another lifetime. kRefused for one that has been revoked.
  Result<Issued> renew(const security::Credential& old, const security::Roster& roster);
  /// Remembers by which key a member that came with a credential is known.
  Status remember(const security::Credential& credential);

 private:
  Result<TokenRecord> usable(const std::string& id) const;
  Result<Issued> issue(security::Credential credential) const;
  Status check_name(const std::string& name, const security::NodeId& node,
                    const security::Roster& roster) const;

  Store& store_;
  const node::Identity& identity_;
  const std::shared_ptr<const security::Authority> authority_;
};

}  // namespace reef::service
