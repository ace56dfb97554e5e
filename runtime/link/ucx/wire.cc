#include "runtime/link/ucx/wire.h"

#include <algorithm>
#include <string>
#include <utility>

namespace reef::link::ucx {
namespace {

Error broken(std::string what) { return {Code::kProto, "", std::move(what)}; }

}  // namespace

Bytes hello(BytesView address) {
  Bytes bytes(kHelloHead + address.size());
  std::ranges::copy(as_bytes(kMagic), bytes.begin());
  store(bytes.data() + kMagic.size(), static_cast<std::uint16_t>(kVersion));
  std::ranges::copy(address, bytes.begin() + kHelloHead);
  return bytes;
}

Result<BytesView> read_hello(BytesView frame) {
  if (frame.size() <= kHelloHead || frame.size() > kHelloLimit) {
    return broken("a hello of " + std::to_string(frame.size()) + " bytes");
  }
  if (as_text(frame.first(kMagic.size())) != kMagic) return broken("not a hello of a UCX link");
  const auto version = load<std::uint16_t>(frame.data() + kMagic.size());
  if (version != kVersion) {
    return broken("version " + std::to_string(version) + " of the UCX link; this is " +
                  std::to_string(kVersion));
  }
  return frame.subspan(kHelloHead);
}

void append_word(Bytes& to, Word kind, std::uint32_t value) {
  std::byte word[kWordSize]{};
  word[kPrefix] = static_cast<std::byte>(kind);
  store(word + kPrefix + 1, value);
  to.insert(to.end(), word, word + kWordSize);
}

Status StreamReader::take(BytesView piece, Sink& sink) {
  while (!piece.empty()) {
    if (ended_) return broken("bytes after the end");
    if (missing_ > 0) {
      const std::size_t n = std::min(missing_, piece.size());
      frame_.insert(frame_.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n));
      piece = piece.subspan(n);
      missing_ -= n;
      if (missing_ == 0) sink.frame(std::exchange(frame_, {}));
      continue;
    }
    head_[head_size_++] = piece.front();
    piece = piece.subspan(1);
    if (head_size_ < kPrefix) continue;
    const std::size_t length =
        std::to_integer<std::size_t>(head_[0]) << 8 | std::to_integer<std::size_t>(head_[1]);
    if (length > 0) {
      ATOLL_TRY(length_known(length, sink));
    } else if (head_size_ == kWordSize) {
      ATOLL_TRY(word_known(sink));
    }
  }
  return {};
}

Status StreamReader::length_known(std::size_t length, Sink& sink) {
  head_size_ = 0;
  if (length > limit_) {
    return broken("a frame of " + std::to_string(length) + " bytes; limit 1 to " +
                  std::to_string(limit_));
  }
  ATOLL_TRY(sink.announced(length));
  frame_.reserve(length);
  missing_ = length;
  return {};
}

Status StreamReader::word_known(Sink& sink) {
  head_size_ = 0;
  const auto value = load<std::uint32_t>(head_ + kPrefix + 1);
  switch (static_cast<Word>(head_[kPrefix])) {
    case Word::kGrant:
      return sink.granted(value);
    case Word::kEnd:
      if (value != 0) break;
      ended_ = true;
      sink.ended();
      return {};
  }
  return broken("a word of unknown kind");
}

}  // namespace reef::link::ucx
