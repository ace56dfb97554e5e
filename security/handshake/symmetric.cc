#include "security/handshake/symmetric.h"

#include <algorithm>
#include <limits>

#include "runtime/base/check.h"

namespace reef::security {
namespace {

constexpr std::uint64_t kRekeyNonce = std::numeric_limits<std::uint64_t>::max();

std::string_view name_of(Cipher cipher) {
  return cipher == Cipher::kChaChaPoly ? "ChaChaPoly" : "AESGCM";
}
std::string_view name_of(HashFunction function) {
  switch (function) {
    case HashFunction::kBlake2b:
      return "BLAKE2b";
    case HashFunction::kSha256:
      return "SHA256";
    case HashFunction::kSha512:
      return "SHA512";
  }
  __builtin_unreachable();
}

}  // namespace

std::string Suite::name() const {
  return "25519_" + std::string(name_of(cipher)) + "_" + std::string(name_of(hash));
}

void CipherState::encrypt(std::span<std::byte> out, BytesView associated, BytesView plaintext) {
  CHECK(has_key() && n_ != kRekeyNonce);
  seal(cipher_, out, key(), counter_nonce(cipher_, n_++), associated, plaintext);
}

bool CipherState::decrypt(std::span<std::byte> out, BytesView associated, BytesView ciphertext) {
  CHECK(has_key() && n_ != kRekeyNonce);
  if (!open(cipher_, out, key(), counter_nonce(cipher_, n_), associated, ciphertext)) return false;
  ++n_;
  return true;
}

void CipherState::rekey() {
  CHECK(has_key());
  const std::array<std::byte, kKeySize> zeros{};
  std::array<std::byte, kKeySize + kTagSize> out;
  const WipeAtExit wipe_out(out);
  seal(cipher_, out, key(), counter_nonce(cipher_, kRekeyNonce), {}, zeros);
  std::copy_n(out.begin(), kKeySize, key_.data());
}

CipherState CipherState::clone() const {
  CipherState copy;
  copy.cipher_ = cipher_;
  copy.key_ = SecretBytes::copy_of(key_.view());
  copy.n_ = n_;
  return copy;
}

SymmetricState::SymmetricState(std::string_view pattern, const Suite& suite)
    : suite_(suite), h_(hash_size(suite.hash)) {
  const std::string protocol = "Noise_" + std::string(pattern) + "_" + suite.name();
  const BytesView name = as_bytes(protocol);
  if (name.size() <= h_.size()) {
    std::copy(name.begin(), name.end(), h_.begin());
  } else {
    h_ = security::hash(suite_.hash, {name});
  }
  ck_ = h_;
}

SymmetricState::~SymmetricState() {
  wipe(h_);
  wipe(ck_);
}

/// A hash of 64 bytes is cut to a key.
CipherState SymmetricState::cipher_with(const Digest& key) const {
  return CipherState(suite_.cipher, KeyView(key.data(), kKeySize));
}

void SymmetricState::mix_hash(BytesView data) { h_ = security::hash(suite_.hash, {h_, data}); }

void SymmetricState::mix_key(BytesView input) {
  Digest ck, key;
  hkdf(suite_.hash, ck_, input, ck, key);
  ck_ = ck;
  cipher_ = cipher_with(key);
  wipe(ck);
  wipe(key);
}

void SymmetricState::mix_key_and_hash(BytesView input) {
  Digest ck, hash, key;
  hkdf(suite_.hash, ck_, input, ck, hash, &key);
  ck_ = ck;
  mix_hash(hash);
  cipher_ = cipher_with(key);
  wipe(ck);
  wipe(hash);
  wipe(key);
}

void SymmetricState::encrypt_and_hash(Bytes& out, BytesView plaintext) {
  const std::size_t begin = out.size();
  if (cipher_.has_key()) {
    out.resize(begin + plaintext.size() + kTagSize);
    cipher_.encrypt(std::span(out).subspan(begin), h_, plaintext);
  } else {
    out.insert(out.end(), plaintext.begin(), plaintext.end());
  }
  mix_hash(BytesView(out).subspan(begin));
}

bool SymmetricState::decrypt_and_hash(Bytes& out, BytesView ciphertext) {
  const std::size_t begin = out.size();
  if (cipher_.has_key()) {
    if (ciphertext.size() < kTagSize) return false;
    out.resize(begin + ciphertext.size() - kTagSize);
    if (!cipher_.decrypt(std::span(out).subspan(begin), h_, ciphertext)) {
      out.resize(begin);
      return false;
    }
  } else {
    out.insert(out.end(), ciphertext.begin(), ciphertext.end());
  }
  mix_hash(ciphertext);
  return true;
}

void SymmetricState::split(CipherState& forward, CipherState& backward) {
  Digest first, second;
  hkdf(suite_.hash, ck_, {}, first, second);
  forward = cipher_with(first);
  backward = cipher_with(second);
  wipe(first);
  wipe(second);
}

SymmetricState SymmetricState::clone() const {
  SymmetricState copy;
  copy.suite_ = suite_;
  copy.h_ = h_;
  copy.ck_ = ck_;
  copy.cipher_ = cipher_.clone();
  return copy;
}

}  // namespace reef::security
