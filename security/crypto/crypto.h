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
  kKeySize = 32,        ///< X25519, Ed25519 (public key and seed) and ChaCha20-Poly1305
  kTagSize = 16,        ///< Poly1305
  kHashSize = 64,       ///< BLAKE2b-512
  kSignatureSize = 64,  ///< Ed25519
};

using PublicKey = std::array<std::byte, kKeySize>;
using Hash = std::array<std::byte, kHashSize>;
using Hash256 = std::array<std::byte, 32>;
using Signature = std::array<std::byte, kSignatureSize>;
using KeyView = std::span<const std::byte, kKeySize>;

/// Fills `out` from the system's generator.
void random_bytes(std::span<std::byte> out);

/// Equal in constant time; false for different sizes.
[[nodiscard]] bool equal(BytesView a, BytesView b);

/// The X25519 public key of a secret.
PublicKey x25519_public(KeyView secret);
/// Diffie-Hellman. False when the result is zero: the peer sent a point of small order.
[[nodiscard]] bool x25519(std::span<std::byte, kKeySize> out, KeyView secret, KeyView peer);

/// ChaCha20-Poly1305 (IETF) under nonce 0^4 | LE64(n). `out` has kTagSize bytes more than
/// `plaintext` and may begin at the same address.
void seal(std::span<std::byte> out, KeyView key, std::uint64_t n, BytesView associated,
          BytesView plaintext);
/// The inverse. False, with `out` wiped, when the tag is wrong or there is no room for one. `out`
/// is kTagSize smaller than `ciphertext` and may begin at the same address.
[[nodiscard]] bool open(std::span<std::byte> out, KeyView key, std::uint64_t n,
                        BytesView associated, BytesView ciphertext);

/// BLAKE2b-512 of the pieces in order.
Hash blake2b(std::initializer_list<BytesView> pieces);
/// BLAKE2b-256 of the pieces in order (its own parameter block, not a truncation).
Hash256 blake2b_256(std::initializer_list<BytesView> pieces);
/// HMAC (RFC 2104) with BLAKE2b-512; Noise asks for this, not for keyed BLAKE2b.
Hash hmac(BytesView key, std::initializer_list<BytesView> pieces);
/// Noise's HKDF with two or three outputs of 64 bytes (`third` may be null).
void hkdf(BytesView chaining_key, BytesView input, Hash& first, Hash& second,
          Hash* third = nullptr);

/// The Ed25519 public key of a seed.
PublicKey ed25519_public(KeyView seed);
Signature ed25519_sign(KeyView seed, BytesView message);
[[nodiscard]] bool ed25519_verify(BytesView signature, KeyView public_key, BytesView message);

}  // namespace reef::security
