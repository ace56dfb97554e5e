#include "security/crypto/crypto.h"

#include <sodium.h>

#include <algorithm>

#include "runtime/base/check.h"

namespace reef::security {
namespace {

static_assert(crypto_scalarmult_BYTES == kKeySize);
static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == kKeySize);
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == kTagSize);
static_assert(crypto_sign_PUBLICKEYBYTES == kKeySize && crypto_sign_SEEDBYTES == kKeySize);
static_assert(crypto_sign_BYTES == kSignatureSize);
static_assert(crypto_generichash_BYTES_MAX == kHashSize);

constexpr std::size_t kHmacBlock = 128;  // BLAKE2b's block

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

using Nonce = std::array<unsigned char, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

Nonce nonce_of(std::uint64_t n) {
  Nonce nonce{};
  for (int i = 0; i < 8; ++i) nonce[4 + i] = static_cast<unsigned char>(n >> (8 * i));
  return nonce;
}

void blake2b_into(std::span<std::byte> out, std::initializer_list<BytesView> pieces) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  for (BytesView piece : pieces) crypto_generichash_update(&state, raw(piece.data()), piece.size());
  crypto_generichash_final(&state, raw(out.data()), out.size());
  sodium_memzero(&state, sizeof state);
}

}  // namespace

void random_bytes(std::span<std::byte> out) {
  CHECK(sodium_init() >= 0) << "libsodium does not start";
  randombytes_buf(out.data(), out.size());
}

bool equal(BytesView a, BytesView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

PublicKey x25519_public(KeyView secret) {
  PublicKey key;
  crypto_scalarmult_base(raw(key.data()), raw(secret.data()));
  return key;
}

bool x25519(std::span<std::byte, kKeySize> out, KeyView secret, KeyView peer) {
  // libsodium itself returns -1 for a zero result.
  return crypto_scalarmult(raw(out.data()), raw(secret.data()), raw(peer.data())) == 0;
}

void seal(std::span<std::byte> out, KeyView key, std::uint64_t n, BytesView associated,
          BytesView plaintext) {
  CHECK_EQ(out.size(), plaintext.size() + kTagSize);
  const Nonce nonce = nonce_of(n);
  crypto_aead_chacha20poly1305_ietf_encrypt(
      raw(out.data()), nullptr, raw(plaintext.data()), plaintext.size(), raw(associated.data()),
      associated.size(), nullptr, nonce.data(), raw(key.data()));
}

bool open(std::span<std::byte> out, KeyView key, std::uint64_t n, BytesView associated,
          BytesView ciphertext) {
  if (ciphertext.size() < kTagSize) return false;
  CHECK_EQ(out.size() + kTagSize, ciphertext.size());
  const Nonce nonce = nonce_of(n);
  const bool good =
      crypto_aead_chacha20poly1305_ietf_decrypt(
          raw(out.data()), nullptr, nullptr, raw(ciphertext.data()), ciphertext.size(),
          raw(associated.data()), associated.size(), nonce.data(), raw(key.data())) == 0;
  if (!good) wipe(out);
  return good;
}

Hash blake2b(std::initializer_list<BytesView> pieces) {
  Hash out;
  blake2b_into(out, pieces);
  return out;
}

Hash256 blake2b_256(std::initializer_list<BytesView> pieces) {
  Hash256 out;
  blake2b_into(out, pieces);
  return out;
}

Hash hmac(BytesView key, std::initializer_list<BytesView> pieces) {
  std::array<std::byte, kHmacBlock> pad{};
  const WipeAtExit wipe_pad(pad);
  if (key.size() > kHmacBlock) {
    const Hash short_key = blake2b({key});
    std::copy(short_key.begin(), short_key.end(), pad.begin());
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }

  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, kHashSize);
  for (std::byte& b : pad) b ^= std::byte{0x36};
  crypto_generichash_update(&state, raw(pad.data()), pad.size());
  for (BytesView piece : pieces) crypto_generichash_update(&state, raw(piece.data()), piece.size());
  Hash inner;
  crypto_generichash_final(&state, raw(inner.data()), inner.size());
  sodium_memzero(&state, sizeof state);

  for (std::byte& b : pad) b ^= std::byte{0x36 ^ 0x5c};
  const Hash out = blake2b({pad, inner});
  wipe(inner);
  return out;
}

void hkdf(BytesView chaining_key, BytesView input, Hash& first, Hash& second, Hash* third) {
  Hash temporary = hmac(chaining_key, {input});
  const WipeAtExit wipe_temporary(temporary);
  const std::array<std::byte, 3> counter = {std::byte{1}, std::byte{2}, std::byte{3}};
  const BytesView counters(counter);
  first = hmac(temporary, {counters.subspan(0, 1)});
  second = hmac(temporary, {first, counters.subspan(1, 1)});
  if (third != nullptr) *third = hmac(temporary, {second, counters.subspan(2, 1)});
}

PublicKey ed25519_public(KeyView seed) {
  PublicKey key;
  std::array<std::byte, crypto_sign_SECRETKEYBYTES> secret;
  const WipeAtExit wipe_secret(secret);
  crypto_sign_seed_keypair(raw(key.data()), raw(secret.data()), raw(seed.data()));
  return key;
}

Signature ed25519_sign(KeyView seed, BytesView message) {
  PublicKey key;
  std::array<std::byte, crypto_sign_SECRETKEYBYTES> secret;
  const WipeAtExit wipe_secret(secret);
  crypto_sign_seed_keypair(raw(key.data()), raw(secret.data()), raw(seed.data()));
  Signature signature;
  crypto_sign_detached(raw(signature.data()), nullptr, raw(message.data()), message.size(),
                       raw(secret.data()));
  return signature;
}

bool ed25519_verify(BytesView signature, KeyView public_key, BytesView message) {
  return signature.size() == kSignatureSize &&
         crypto_sign_verify_detached(raw(signature.data()), raw(message.data()), message.size(),
                                     raw(public_key.data())) == 0;
}

}  // namespace reef::security
