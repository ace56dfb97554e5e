#pragma once
// Memory for keys: guarded, locked, wiped. Kept apart from Bytes so that a key cannot be copied,
// printed or sent by accident.

#include <cstddef>
#include <span>
#include <utility>

#include "runtime/base/bytes.h"

namespace reef::security {

/// A fixed-size secret in sodium_malloc memory (between guard pages, mlock where the limit allows
/// it), wiped when freed. Keys of up to 64 bytes share such memory, 64 to a piece: a handshake
/// makes and drops some forty, and pages of their own for each cost as much as its mathematics.
/// Movable, not copyable; an empty one has size 0. Thread: like a vector. Failure: running out of
/// memory ends the process.
class SecretBytes {
 public:
  SecretBytes() = default;
  /// Zeroed memory.
  explicit SecretBytes(std::size_t size);
  static SecretBytes copy_of(BytesView bytes);
  static SecretBytes random(std::size_t size);
  SecretBytes(SecretBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  BytesView view() const { return {data_, size_}; }
  std::span<std::byte> span() { return {data_, size_}; }

 private:
  void release();
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Wipes bytes that held a secret in passing; the compiler may not remove it.
void wipe(std::span<std::byte> bytes);

/// Wipes a stack buffer when the scope ends, on every way out.
class WipeAtExit {
 public:
  explicit WipeAtExit(std::span<std::byte> bytes) : bytes_(bytes) {}
  WipeAtExit(const WipeAtExit&) = delete;
  WipeAtExit& operator=(const WipeAtExit&) = delete;
  ~WipeAtExit() { wipe(bytes_); }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace reef::security
