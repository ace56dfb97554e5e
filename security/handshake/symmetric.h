#pragma once
// CipherState and SymmetricState of the Noise specification, section 5. The names of the methods
// are those of the paper.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "security/crypto/crypto.h"

namespace reef::security {

/// What a handshake computes with, beside X25519.
struct Suite {
  Cipher cipher = Cipher::kChaChaPoly;
  HashFunction hash = HashFunction::kBlake2b;
  /// As in a protocol's name: "25519_ChaChaPoly_BLAKE2b".
  std::string name() const;
  bool operator==(const Suite&) const = default;
};

/// A key and its implicit nonce. Every message costs one nonce; the last one (2^64-1) is reserved
/// for rekey, and no caller can come near it because records rekey and sessions end long before.
/// Thread: one at a time. Failure: a failed decrypt does not advance the nonce.
class CipherState {
 public:
  CipherState() = default;
  CipherState(Cipher cipher, KeyView key) : cipher_(cipher), key_(SecretBytes::copy_of(key)) {}

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
  Cipher cipher_ = Cipher::kChaChaPoly;
  SecretBytes key_;
  std::uint64_t n_ = 0;
};

/// The running hash and chaining key of a handshake.
/// Thread: one at a time. Memory: wiped when destroyed.
class SymmetricState {
 public:
  /// Of the protocol Noise_<pattern>_<suite>.
  SymmetricState(std::string_view pattern, const Suite& suite);
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
  const Digest& hash() const { return h_; }
  SymmetricState clone() const;

 private:
  SymmetricState() = default;
  CipherState cipher_with(const Digest& key) const;
  Suite suite_;
  Digest h_;
  Digest ck_;
  CipherState cipher_;
};

}  // namespace reef::security
