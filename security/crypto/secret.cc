#include "security/crypto/secret.h"

#include <sodium.h>

#include <cstring>

#include "runtime/base/check.h"
#include "security/crypto/crypto.h"

namespace reef::security {

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  CHECK(sodium_init() >= 0) << "libsodium does not start";
  data_ = static_cast<std::byte*>(sodium_malloc(size));
  CHECK(data_ != nullptr) << "no guarded memory left for " << size << " bytes";
  sodium_memzero(data_, size);
}

SecretBytes SecretBytes::copy_of(BytesView bytes) {
  SecretBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SecretBytes SecretBytes::random(std::size_t size) {
  SecretBytes secret(size);
  random_bytes(secret.span());
  return secret;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  sodium_free(data_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretBytes::~SecretBytes() {
  sodium_free(data_);  // wipes; accepts null
}

void wipe(std::span<std::byte> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace reef::security
