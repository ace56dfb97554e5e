#pragma once
// SHA-256 as manifests write it, so that people can check a file with sha256sum.

#include <sodium/crypto_hash_sha256.h>

#include <string>

#include "runtime/base/bytes.h"

namespace reef::data {

class Sha256 {
 public:
  Sha256();
  void update(BytesView bytes);
  /// Lower-case hexadecimal of everything so far; the object is spent afterwards.
  std::string finish();

 private:
  crypto_hash_sha256_state state_;
};

std::string sha256(BytesView bytes);

}  // namespace reef::data
