#pragma once
// How the statements of this folder are put into bytes and taken out again. Inside the folder only.

#include <algorithm>
#include <string>

#include "runtime/base/bytes.h"
#include "runtime/base/utf8.h"
#include "security/crypto/crypto.h"
#include "security/identity/credential.h"

namespace reef::security {

inline void append(Bytes& out, BytesView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void append(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
/// A name with its length in front; it must be a valid_name().
inline void append_name(Bytes& out, const std::string& name) {
  out.push_back(static_cast<std::byte>(name.size()));
  append(out, as_bytes(name));
}
/// Bytes with their length, of two bytes, in front.
inline void append_block(Bytes& out, BytesView block) {
  out.push_back(static_cast<std::byte>(block.size()));
  out.push_back(static_cast<std::byte>(block.size() >> 8));
  append(out, block);
}

/// UTF-8 without control characters, 1..kMaxName bytes.
inline bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && one_line(name) == name;
}
inline bool known_role(Role role) {
  return role == Role::kClient || role == Role::kScheduler || role == Role::kNode;
}

/// Takes from the front of untrusted bytes; once it has failed, everything it gives is empty or
/// zero.
class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  BytesView take(std::size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    const BytesView front = rest_.first(size);
    rest_ = rest_.subspan(size);
    return front;
  }
  std::uint8_t byte() {
    const BytesView one = take(1);
    return one.empty() ? 0 : std::to_integer<std::uint8_t>(one[0]);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    const BytesView bytes = take(8);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
  }
  void array(std::array<std::byte, 32>& to) {
    const BytesView bytes = take(to.size());
    std::copy(bytes.begin(), bytes.end(), to.begin());
  }
  std::string name() { return std::string(as_text(take(byte()))); }
  BytesView block() {
    const std::size_t low = byte();
    const std::size_t high = byte();
    return take(low | high << 8);
  }
  bool finished() const { return good_ && rest_.empty(); }

 private:
  BytesView rest_;
  bool good_ = true;
};

}  // namespace reef::security
