#pragma once
// The primitives that Atoll uses, each a thin wrapper over libsodium with its sizes in the type.
// Nothing else in the project may include <sodium.h>.
// Thread: any. Memory: outputs are the caller's. Failure: `false` is the peer's fault and must be
// looked at; running out of entropy or memory ends the process.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "runtime/base/bytes.h"
#include "security/crypto/secret.h"

namespace reef::security {

enum : std::size_t {
  kKeySize = 32,        ///< X25519, Ed25519 (public key and seed) and both ciphers
  kTagSize = 16,        ///< of both ciphers
  kMostHashSize = 64,   ///< BLAKE2b-512 and SHA-512
  kSignatureSize = 64,  ///< Ed25519
};

using PublicKey = std::array<std::byte, kKeySize>;
using Hash256 = std::array<std::byte, 32>;
using Signature = std::array<std::byte, kSignatureSize>;
using KeyView = std::span<const std::byte, kKeySize>;
using Nonce = std::array<std::byte, 12>;

/// Authenticated encryption, by Noise's names.
enum class Cipher : std::uint8_t {
  kChaChaPoly,  ///< ChaCha20-Poly1305 (RFC 8439)
  kAesGcm,      ///< AES-256-GCM (NIST SP 800-38D); see has_aes()
};
/// Hash functions, by Noise's names.
enum class HashFunction : std::uint8_t { kBlake2b, kSha256, kSha512 };

/// What a hash function gives: 32 bytes of SHA-256, else 64.
class Digest {
 public:
  Digest() = default;
  explicit Digest(std::size_t size) : size_(size) {}
  std::size_t size() const { return size_; }
  std::byte* data() { return bytes_.data(); }
  const std::byte* data() const { return bytes_.data(); }
  std::byte* begin() { return data(); }
  std::byte* end() { return data() + size_; }
  const std::byte* begin() const { return data(); }
  const std::byte* end() const { return data() + size_; }
  bool operator==(const Digest&) const = default;

 private:
  std::array<std::byte, kMostHashSize> bytes_{};
  std::size_t size_ = 0;
};

/// Fills `out` from the system's generator.
void random_bytes(std::span<std::byte> out);

/// Equal in constant time; false for different sizes.
[[nodiscard]] bool equal(BytesView a, BytesView b);

/// The X25519 public key of a secret.
PublicKey x25519_public(KeyView secret);
/// Diffie-Hellman. False when the result is zero: the peer sent a point of small order.
[[nodiscard]] bool x25519(std::span<std::byte, kKeySize> out, KeyView secret, KeyView peer);

/// Whether this processor has AES instructions. Without them there is no kAesGcm: tables would tell
/// the key to whoever shares the cache.
bool has_aes();

/// Noise's nonce of message n: 0^4 | LE64(n) for ChaChaPoly, 0^4 | BE64(n) for AESGCM.
Nonce counter_nonce(Cipher cipher, std::uint64_t n);

/// No two calls with one key may have one nonce. `out` has kTagSize bytes more than `plaintext` and
/// may begin at the same address.
void seal(Cipher cipher, std::span<std::byte> out, KeyView key, const Nonce& nonce,
          BytesView associated, BytesView plaintext);
/// The inverse. False, with `out` wiped, when the tag is wrong or there is no room for one. `out`
/// is kTagSize smaller than `ciphertext` and may begin at the same address.
[[nodiscard]] bool open(Cipher cipher, std::span<std::byte> out, KeyView key, const Nonce& nonce,
                        BytesView associated, BytesView ciphertext);

std::size_t hash_size(HashFunction function);
/// Of the pieces in order.
Digest hash(HashFunction function, std::initializer_list<BytesView> pieces);
/// BLAKE2b-256 of the pieces in order (its own parameter block, not a truncation).
Hash256 blake2b_256(std::initializer_list<BytesView> pieces);
/// Keyed BLAKE2b-256, into memory for secrets: for a key that is made from another.
SecretBytes derive_key(KeyView key, BytesView purpose);
/// HMAC (RFC 2104); Noise asks for this with BLAKE2b, too, not for keyed BLAKE2b.
Digest hmac(HashFunction function, BytesView key, std::initializer_list<BytesView> pieces);
/// Noise's HKDF with two or three outputs (`third` may be null).
void hkdf(HashFunction function, BytesView chaining_key, BytesView input, Digest& first,
          Digest& second, Digest* third = nullptr);

/// The Ed25519 public key of a seed.
PublicKey ed25519_public(KeyView seed);
Signature ed25519_sign(KeyView seed, BytesView message);
[[nodiscard]] bool ed25519_verify(BytesView signature, KeyView public_key, BytesView message);

}  // namespace reef::security
