#include "security/crypto/secret.h"

#include <sodium.h>

#include <cstring>
#include <mutex>
#include <vector>

#include "runtime/base/check.h"
#include "security/crypto/crypto.h"

namespace reef::security {

namespace {

std::byte* allocate_guarded(std::size_t size) {
  CHECK(sodium_init() >= 0) << "libsodium does not start";
  auto* data = static_cast<std::byte*>(sodium_malloc(size));
  CHECK(data != nullptr) << "no guarded memory left for " << size << " bytes";
  return data;
}

/// Guarded memory cut into slots for keys. Grows with the most that were in use at once; slots are
/// wiped when they come back.
/// Thread: any.
class Slots {
 public:
  static constexpr std::size_t kSize = 64;

  std::byte* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      std::byte* const piece = allocate_guarded(kSize * kPerPiece);
      for (std::size_t i = kPerPiece; i > 0; --i) free_.push_back(piece + (i - 1) * kSize);
    }
    std::byte* const slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::byte* slot) {
    sodium_memzero(slot, kSize);
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }

 private:
  static constexpr std::size_t kPerPiece = 64;  // one page
  std::mutex mutex_;
  std::vector<std::byte*> free_;
};

/// Never destroyed: secrets of other statics may outlive any order.
Slots& slots() {
  static Slots* const all = new Slots;
  return *all;
}

}  // namespace

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  data_ = size <= Slots::kSize ? slots().take() : allocate_guarded(size);
  sodium_memzero(data_, size);
}

void SecretBytes::release() {
  if (data_ == nullptr) return;
  if (size_ <= Slots::kSize) {
    slots().give_back(data_);
  } else {
    sodium_free(data_);  // wipes
  }
  data_ = nullptr;
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
  release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretBytes::~SecretBytes() { release(); }

void wipe(std::span<std::byte> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace reef::security
