#pragma once
// The sending side of atoll-flow: N plain TCP flows, as fast as they go, for a stated time. What a
// peer would get from this line without any of Atoll's means.

#include <cstdint>
#include <string>

#include "runtime/base/error.h"
#include "tests/cluster/wan/flow/sockets.h"

namespace reef::flow {

struct SendOptions {
  sockaddr_in address{};
  std::uint32_t flows = 1;
  std::string congestion;  ///< empty: the namespace's default
  Duration skip{};         ///< at the start, not counted
  Duration window{};       ///< then counted for so long
};

/// Runs to the end and returns the result as JSON: goodput by the receiver's count, retransmissions
/// and round trips by the sender's kernel.
Result<std::string> send(const SendOptions& options);

}  // namespace reef::flow
