#pragma once
// What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: it takes the input
// apart, gives the pieces to whatever reads them from a peer or a file, and CHECKs what must hold
// afterwards. That nothing crashed says little; that what was accepted is what was written says
// more.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::fuzz {

/// What is drawn from here on is what was drawn after the last call.
void restart_randomness();

/// An input, taken apart from the front. Once used up it gives zeros and nothing.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const std::byte*>(data), size) {
    restart_randomness();
  }

  bool empty() const { return rest_.empty(); }
  BytesView take(std::size_t size) {
    const BytesView front = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(front.size());
    return front;
  }
  template <typename T>
  T number() {
    T value{};
    const BytesView bytes = take(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  /// 0..limit-1, of one byte.
  std::size_t below(std::size_t limit) { return number<std::uint8_t>() % limit; }
  /// A u16 and as many bytes, or as many as there are.
  BytesView piece() { return take(number<std::uint16_t>()); }
  BytesView rest() { return take(rest_.size()); }

 private:
  BytesView rest_;
};

/// The same from the other side, for seeds.
class Output {
 public:
  template <typename T>
  Output& number(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    store(bytes_.data() + bytes_.size() - sizeof value, value);
    return *this;
  }
  Output& rest(BytesView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Output& piece(BytesView bytes) {
    return number(static_cast<std::uint16_t>(bytes.size())).rest(bytes);
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

/// Not ==, which takes elements one by one, and each with its counters.
inline bool same(BytesView left, BytesView right) {
  return left.size() == right.size() &&
         (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

/// So many zeros, at most kMostZeros; they stay.
constexpr std::size_t kMostZeros = 65'000;
BytesView zeros(std::size_t size);

/// `valid` with the changes that `input` asks for: bytes flipped, cut off, inserted, appended.
Bytes mutated(BytesView valid, Input& input);

/// A refusal has one of `codes`, and is one line that a terminal and a log may show as it is.
void check_refusal(const Error& error, std::initializer_list<Code> codes);

/// A folder of this process in memory where there is one (/dev/shm); removed when it ends.
const std::filesystem::path& folder();
/// Replaces a file of folder(), mode 0600, and returns its path.
std::filesystem::path put(std::string_view name, BytesView content);

/// Replaces each `from` in `text`: how an input names a hash that it cannot compute.
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace reef::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
