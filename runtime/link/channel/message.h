#pragma once
// What a channel carries.

#include <cstdint>
#include <memory>

#include "runtime/base/bytes.h"

namespace reef::link {

/// In order of priority; a fragment leaves only when every lane before it is empty.
enum class Lane : std::uint8_t { kControl = 0, kActivation = 1, kGradient = 2, kBulk = 3 };
inline constexpr std::size_t kLanes = 4;

/// Bytes and whatever keeps them alive; copying copies the handle.
class Payload {
 public:
  Payload() = default;
  Payload(Bytes bytes);                         // NOLINT: a payload is made of bytes
  Payload(std::shared_ptr<const Bytes> bytes);  // NOLINT
  /// `view` stays valid and unchanged while `owner` lives.
  Payload(std::shared_ptr<const void> owner, BytesView view)
      : owner_(std::move(owner)), view_(view) {}

  BytesView view() const { return view_; }
  std::size_t size() const { return view_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  BytesView view_;
};

/// One message. The header is small and parsed by the receiver; the payload is never looked at.
struct Message {
  std::uint16_t kind = 0;  ///< the caller's; checked against security::Policy by the caller
  Bytes header;
  Payload payload;
  Lane lane = Lane::kControl;
  std::uint64_t epoch = 0;  ///< travels in each record's header

  std::size_t size() const { return header.size() + payload.size(); }
};

inline constexpr std::size_t kMaxMessageHeader = 16 * 1024;

}  // namespace reef::link
