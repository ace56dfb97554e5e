#pragma once
// Datagrams to a receiver and back: what round trip and what loss a line really has.

#include <cstdint>
#include <string>

#include "runtime/base/error.h"
#include "tests/cluster/wan/flow/sockets.h"

namespace reef::flow {

struct ProbeOptions {
  sockaddr_in address{};
  std::uint32_t count = 100;
  Duration interval = std::chrono::milliseconds(10);
  std::size_t size = 64;                    ///< bytes of payload, 16 to 65,507
  Duration wait = std::chrono::seconds(2);  ///< for answers, after the last was sent
};

/// Returns JSON: sent, received, loss, duplicates, reordered, round trips in ms. Memory: 8 bytes a
/// datagram.
Result<std::string> probe(const ProbeOptions& options);

}  // namespace reef::flow
