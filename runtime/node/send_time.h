#pragma once
// How long a message between nodes may take to leave. One that has not left by then will not: its
// peer has stopped reading though its line stands.

#include <cstddef>

#include "runtime/base/clock.h"

namespace reef::node {

/// Of a message with nothing before it.
inline constexpr Duration kLeastSendTime = std::chrono::seconds(60);
/// No line is slower on which anybody trains. Snapshots yield to all else, so of a full line they
/// get a small part.
inline constexpr std::uint64_t kLeastBytesPerSecond = 16 << 10;

/// `bytes` of the message and of all that waits before it.
constexpr Duration send_time(std::uint64_t bytes) {
  return kLeastSendTime + std::chrono::seconds(bytes / kLeastBytesPerSecond);
}

}  // namespace reef::node
