#pragma once
// CipherState and SymmetricState of the Noise specification, section 5, with the suite
// 25519_ChaChaPoly_BLAKE2b. The names of the methods are those of the paper.

#include <cstdint>
#include <span>
#include <string_view>

#include "security/crypto/crypto.h"

namespace reef::security {

/// A key and its implicit nonce. Every message costs one nonce; the last one (2^64-1) is reserved
/// for rekey, and no caller can come near it because records rekey and sessions end long before.
/// Thread: one at a time. Failure: a failed decrypt does not advance the nonce.
class CipherState {
 public:
  CipherState() = default;
  explicit CipherState(KeyView key) : key_(SecretBytes::copy_of(key)) {}

  bool has_key() const { return key_.size() != 0; }
  std::uint64_t nonce() const { return n_; }
  /// `out` is kTagSize longer than `plaintext` and may start where it starts. Needs a key.
  void encrypt(std::span<std::byte> out, BytesView associated, BytesView plaintext);
  [[nodiscard]] bool decrypt(std::span<std::byte> out, BytesView associated, BytesView ciphertext);
  /// k = ENCRYPT(k, 2^64-1, "", 0^32). The nonce goes on counting.
  void rekey();
  CipherState clone() const;

 private:
  KeyView key() const { return KeyView(key_.data(), kKeySize); }
  SecretBytes key_;
  std::uint64_t n_ = 0;
};

/// The running hash and chaining key of a handshake.
/// Thread: one at a time. Memory: wiped when destroyed.
class SymmetricState {
 public:
  /// `protocol` is the full name, "Noise_XK_25519_ChaChaPoly_BLAKE2b".
  explicit SymmetricState(std::string_view protocol);
  SymmetricState(SymmetricState&&) = default;
  SymmetricState& operator=(SymmetricState&&) = default;
  ~SymmetricState();

  void mix_hash(BytesView data);
  void mix_key(BytesView input);
  void mix_key_and_hash(BytesView input);
  /// Appends the sealed (or, before any key, the plain) bytes to `out` and mixes them in.
  void encrypt_and_hash(Bytes& out, BytesView plaintext);
  /// Appends the plaintext to `out`. On failure nothing is appended or mixed in.
  [[nodiscard]] bool decrypt_and_hash(Bytes& out, BytesView ciphertext);
  /// The two transport ciphers: initiator to responder, and back.
  void split(CipherState& forward, CipherState& backward);

  bool has_key() const { return cipher_.has_key(); }
  const Hash& hash() const { return h_; }
  SymmetricState clone() const;

 private:
  SymmetricState() = default;
  Hash h_{};
  Hash ck_{};
  CipherState cipher_;
};

}  // namespace reef::security
