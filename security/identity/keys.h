#pragma once
// The two kinds of key that live in files: a node's and the authority's.

#include <filesystem>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"
#include "security/identity/credential.h"

namespace reef::security {

/// A node's (or client's) own keys: Ed25519 for its identity, X25519 for the Noise handshake.
/// Thread: any, once made. Memory: guarded; share it by shared_ptr<const NodeKey>.
class NodeKey {
 public:
  static NodeKey generate();
  /// As read_secret_file; kData when it is not a node key.
  static Result<NodeKey> load(const std::filesystem::path& path);
  /// Writes the file whole or not at all, mode 0600.
  Status save(const std::filesystem::path& path) const;

  const PublicKey& identity_key() const { return identity_key_; }
  const PublicKey& noise_key() const { return noise_key_; }
  NodeId id() const { return node_id(identity_key_); }
  Signature sign(BytesView message) const;
  /// A copy for one handshake.
  SecretBytes noise_secret() const { return SecretBytes::copy_of(noise_secret_.view()); }

 private:
  NodeKey(SecretBytes seed, SecretBytes noise_secret);
  SecretBytes seed_;
  SecretBytes noise_secret_;
  PublicKey identity_key_{};
  PublicKey noise_key_{};
};

/// The cluster's signer of credentials. It may live on a machine that is never online.
class Authority {
 public:
  static Authority generate();
  static Result<Authority> load(const std::filesystem::path& path);  ///< as NodeKey::load
  Status save(const std::filesystem::path& path) const;

  const PublicKey& public_key() const { return public_key_; }
  /// The cluster is its authority: cluster_id_of(public_key()).
  ClusterId cluster() const;
  /// Encodes and signs. `credential.cluster` is taken as it is.
  Result<Bytes> issue(const Credential& credential) const;
  /// Of other statements; `message` begins with a context that no credential has.
  Signature sign(BytesView message) const;

 private:
  explicit Authority(SecretBytes seed);
  SecretBytes seed_;
  PublicKey public_key_{};
};

/// BLAKE2b-256("atoll cluster" | authority's public key).
ClusterId cluster_id_of(const PublicKey& authority);

}  // namespace reef::security
