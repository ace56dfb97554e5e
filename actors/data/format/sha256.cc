#include "actors/data/format/sha256.h"

#include <array>

#include "runtime/base/text.h"

namespace reef::data {

Sha256::Sha256() { crypto_hash_sha256_init(&state_); }

void Sha256::update(BytesView bytes) {
  crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

std::string Sha256::finish() {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256_final(&state_, digest.data());
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string sha256(BytesView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

}  // namespace reef::data
