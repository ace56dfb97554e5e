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
static_assert(crypto_aead_aes256gcm_KEYBYTES == kKeySize);
static_assert(crypto_aead_aes256gcm_ABYTES == kTagSize);
static_assert(crypto_generichash_BYTES_MAX == kMostHashSize);
static_assert(crypto_hash_sha512_BYTES == kMostHashSize && crypto_hash_sha256_BYTES == 32);

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == std::tuple_size_v<Nonce>);
static_assert(crypto_aead_aes256gcm_NPUBBYTES == std::tuple_size_v<Nonce>);

/// The two ciphers have one signature in libsodium.
struct Aead {
  decltype(&crypto_aead_chacha20poly1305_ietf_encrypt) encrypt;
  decltype(&crypto_aead_chacha20poly1305_ietf_decrypt) decrypt;
};
Aead aead_of(Cipher cipher) {
  if (cipher == Cipher::kChaChaPoly) {
    return {crypto_aead_chacha20poly1305_ietf_encrypt, crypto_aead_chacha20poly1305_ietf_decrypt};
  }
  CHECK(has_aes()) << "AES-GCM on a processor without AES instructions";
  return {crypto_aead_aes256gcm_encrypt, crypto_aead_aes256gcm_decrypt};
}

/// One hash in progress; wiped at its end.
class Hasher {
 public:
  explicit Hasher(HashFunction function) : function_(function) {
    switch (function_) {
      case HashFunction::kBlake2b:
        crypto_generichash_init(&state_.blake2b, nullptr, 0, kMostHashSize);
        return;
      case HashFunction::kSha256:
        crypto_hash_sha256_init(&state_.sha256);
        return;
      case HashFunction::kSha512:
        crypto_hash_sha512_init(&state_.sha512);
        return;
    }
  }
  ~Hasher() { sodium_memzero(&state_, sizeof state_); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void add(BytesView piece) {
    switch (function_) {
      case HashFunction::kBlake2b:
        crypto_generichash_update(&state_.blake2b, raw(piece.data()), piece.size());
        return;
      case HashFunction::kSha256:
        crypto_hash_sha256_update(&state_.sha256, raw(piece.data()), piece.size());
        return;
      case HashFunction::kSha512:
        crypto_hash_sha512_update(&state_.sha512, raw(piece.data()), piece.size());
        return;
    }
  }
  Digest finish() {
    Digest out(hash_size(function_));
    switch (function_) {
      case HashFunction::kBlake2b:
        crypto_generichash_final(&state_.blake2b, raw(out.data()), out.size());
        break;
      case HashFunction::kSha256:
        crypto_hash_sha256_final(&state_.sha256, raw(out.data()));
        break;
      case HashFunction::kSha512:
        crypto_hash_sha512_final(&state_.sha512, raw(out.data()));
        break;
    }
    return out;
  }

 private:
  HashFunction function_;
  union {
    crypto_generichash_state blake2b;
    crypto_hash_sha256_state sha256;
    crypto_hash_sha512_state sha512;
  } state_;
};

/// What HMAC pads its key to.
std::size_t block_size(HashFunction function) {
  return function == HashFunction::kSha256 ? 64 : 128;
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

bool has_aes() {
  CHECK(sodium_init() >= 0) << "libsodium does not start";
  return crypto_aead_aes256gcm_is_available() != 0;
}

Nonce counter_nonce(Cipher cipher, std::uint64_t n) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t at = cipher == Cipher::kAesGcm ? 11 - i : 4 + i;
    nonce[at] = static_cast<std::byte>(n >> (8 * i));
  }
  return nonce;
}

void seal(Cipher cipher, std::span<std::byte> out, KeyView key, const Nonce& nonce,
          BytesView associated, BytesView plaintext) {
  CHECK_EQ(out.size(), plaintext.size() + kTagSize);
  aead_of(cipher).encrypt(raw(out.data()), nullptr, raw(plaintext.data()), plaintext.size(),
                          raw(associated.data()), associated.size(), nullptr, raw(nonce.data()),
                          raw(key.data()));
}

bool open(Cipher cipher, std::span<std::byte> out, KeyView key, const Nonce& nonce,
          BytesView associated, BytesView ciphertext) {
  if (ciphertext.size() < kTagSize) return false;
  CHECK_EQ(out.size() + kTagSize, ciphertext.size());
  const bool good =
      aead_of(cipher).decrypt(raw(out.data()), nullptr, nullptr, raw(ciphertext.data()),
                              ciphertext.size(), raw(associated.data()), associated.size(),
                              raw(nonce.data()), raw(key.data())) == 0;
  if (!good) wipe(out);
  return good;
}

std::size_t hash_size(HashFunction function) {
  return function == HashFunction::kSha256 ? crypto_hash_sha256_BYTES : crypto_hash_sha512_BYTES;
}

Digest hash(HashFunction function, std::initializer_list<BytesView> pieces) {
  Hasher hasher(function);
  for (BytesView piece : pieces) hasher.add(piece);
  return hasher.finish();
}

Hash256 blake2b_256(std::initializer_list<BytesView> pieces) {
  Hash256 out;
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  for (BytesView piece : pieces) crypto_generichash_update(&state, raw(piece.data()), piece.size());
  crypto_generichash_final(&state, raw(out.data()), out.size());
  sodium_memzero(&state, sizeof state);
  return out;
}

SecretBytes derive_key(KeyView key, BytesView purpose) {
  SecretBytes out(kKeySize);
  crypto_generichash(raw(out.data()), out.size(), raw(purpose.data()), purpose.size(),
                     raw(key.data()), key.size());
  return out;
}

Digest hmac(HashFunction function, BytesView key, std::initializer_list<BytesView> pieces) {
  std::array<std::byte, 128> room{};
  const WipeAtExit wipe_room(room);
  const std::span pad = std::span(room).first(block_size(function));
  if (key.size() > pad.size()) {
    const Digest short_key = hash(function, {key});
    std::copy(short_key.begin(), short_key.end(), pad.begin());
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }

  for (std::byte& b : pad) b ^= std::byte{0x36};
  Hasher hasher(function);
  hasher.add(pad);
  for (BytesView piece : pieces) hasher.add(piece);
  Digest inner = hasher.finish();

  for (std::byte& b : pad) b ^= std::byte{0x36 ^ 0x5c};
  const Digest out = hash(function, {pad, inner});
  wipe(inner);
  return out;
}

void hkdf(HashFunction function, BytesView chaining_key, BytesView input, Digest& first,
          Digest& second, Digest* third) {
  Digest temporary = hmac(function, chaining_key, {input});
  const WipeAtExit wipe_temporary(temporary);
  const std::array<std::byte, 3> counter = {std::byte{1}, std::byte{2}, std::byte{3}};
  const BytesView counters(counter);
  first = hmac(function, temporary, {counters.subspan(0, 1)});
  second = hmac(function, temporary, {first, counters.subspan(1, 1)});
  if (third != nullptr) *third = hmac(function, temporary, {second, counters.subspan(2, 1)});
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
