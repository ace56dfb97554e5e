#include "security/handshake/symmetric.h"

#include <algorithm>
#include <limits>

#include "runtime/base/check.h"

namespace reef::security {
namespace {

constexpr std::uint64_t kRekeyNonce = std::numeric_limits<std::uint64_t>::max();

KeyView first_half(const Hash& hash) { return KeyView(hash.data(), kKeySize); }

}  // namespace

void CipherState::encrypt(std::span<std::byte> out, BytesView associated, BytesView plaintext) {
  CHECK(has_key() && n_ != kRekeyNonce);
  seal(out, key(), n_++, associated, plaintext);
}

bool CipherState::decrypt(std::span<std::byte> out, BytesView associated, BytesView ciphertext) {
  CHECK(has_key() && n_ != kRekeyNonce);
  if (!open(out, key(), n_, associated, ciphertext)) return false;
  ++n_;
  return true;
}

void CipherState::rekey() {
  CHECK(has_key());
  const std::array<std::byte, kKeySize> zeros{};
  std::array<std::byte, kKeySize + kTagSize> out;
  const WipeAtExit wipe_out(out);
  seal(out, key(), kRekeyNonce, {}, zeros);
  std::copy_n(out.begin(), kKeySize, key_.data());
}

CipherState CipherState::clone() const {
  CipherState copy;
  copy.key_ = SecretBytes::copy_of(key_.view());
  copy.n_ = n_;
  return copy;
}

SymmetricState::SymmetricState(std::string_view protocol) {
  const BytesView name = as_bytes(protocol);
  if (name.size() <= kHashSize) {
    std::copy(name.begin(), name.end(), h_.begin());
  } else {
    h_ = blake2b({name});
  }
  ck_ = h_;
}

SymmetricState::~SymmetricState() {
  wipe(h_);
  wipe(ck_);
}

void SymmetricState::mix_hash(BytesView data) { h_ = blake2b({h_, data}); }

void SymmetricState::mix_key(BytesView input) {
  Hash ck, key;
  hkdf(ck_, input, ck, key);
  ck_ = ck;
  cipher_ = CipherState(first_half(key));
  wipe(ck);
  wipe(key);
}

void SymmetricState::mix_key_and_hash(BytesView input) {
  Hash ck, hash, key;
  hkdf(ck_, input, ck, hash, &key);
  ck_ = ck;
  mix_hash(hash);
  cipher_ = CipherState(first_half(key));
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
  Hash first, second;
  hkdf(ck_, {}, first, second);
  forward = CipherState(first_half(first));
  backward = CipherState(first_half(second));
  wipe(first);
  wipe(second);
}

SymmetricState SymmetricState::clone() const {
  SymmetricState copy;
  copy.h_ = h_;
  copy.ck_ = ck_;
  copy.cipher_ = cipher_.clone();
  return copy;
}

}  // namespace reef::security
