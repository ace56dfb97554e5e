#pragma once
// Who a peer is: a statement about two public keys, signed by the cluster's authority, which may be
// offline. Carried inside the handshake, so that nobody but the two ends sees it.

#include <cstdint>
#include <string>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"

namespace reef::security {

using ClusterId = Hash256;
using NodeId = Hash256;

/// The numbers are on the wire: never reuse one.
enum class Role : std::uint8_t { kClient = 1, kScheduler = 2, kNode = 3 };
std::string_view role_name(Role role);
/// kUsage, naming the known ones.
Result<Role> role_named(std::string_view name);

enum CredentialLimit : std::size_t {
  kMaxCredential = 900,  ///< encoded and signed; fits a handshake frame of 1,024 with its keys
  kMaxName = 255,        ///< node name and datacenter, each
};

/// A value: copyable, comparable. Names are UTF-8 without control characters.
struct Credential {
  ClusterId cluster{};
  std::string name;
  PublicKey noise_key{};     ///< X25519, what the handshake proves
  PublicKey identity_key{};  ///< Ed25519, what signs the node's statements
  Role role = Role::kNode;
  std::string datacenter;
  std::uint64_t not_after = 0;  ///< unix seconds, the last at which it is valid
  std::uint64_t serial = 0;     ///< for revocation

  NodeId node_id() const;
  bool operator==(const Credential&) const = default;
};

/// BLAKE2b-256 of the Ed25519 public key.
NodeId node_id(const PublicKey& identity_key);

/// The bytes that are signed. kUsage when a name is empty, too long, not UTF-8 or
/// has control characters.
Result<Bytes> encode_credential(const Credential& credential);

/// Encodes and signs with an authority's seed; Authority::issue is the way in.
Result<Bytes> sign_credential(const Credential& credential, KeyView seed);

/// A serial for a new credential: 63 random bits, so that an authority that is offline needs no
/// memory of the last one. Never 0.
std::uint64_t random_serial();

/// Parses a signed credential without believing it: signature NOT checked. For `atoll` to show
/// files; links use verify_credential. kProto for anything malformed, trailing bytes included.
Result<Credential> parse_credential(BytesView signed_credential);

/// Parses and checks the authority's signature, not the expiry: for who asks who it was.
Result<Credential> verify_issued(BytesView signed_credential, const PublicKey& authority);

/// Parses, then checks the authority's signature, the cluster and the expiry. kProto when
/// malformed, kRefused otherwise. The text is for our log; a peer is told nothing.
Result<Credential> verify_credential(BytesView signed_credential, const PublicKey& authority,
                                     const ClusterId& cluster, std::uint64_t unix_now);

}  // namespace reef::security
