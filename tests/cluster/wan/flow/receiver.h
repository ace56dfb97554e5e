#pragma once
// The receiving side of atoll-flow: counts what arrives on plain TCP flows, and echoes datagrams
// for the probe.
//
// Thread: one. Memory: at most 257 connections, no buffers (what arrives is thrown away in the
// kernel). A peer that breaks the protocol loses its connection; a run that breaks tells its sender
// why.

#include "runtime/base/error.h"
#include "tests/cluster/wan/flow/sockets.h"

namespace reef::flow {

struct ReceiveOptions {
  sockaddr_in address{};
  bool once = false;  ///< return after one run
};

/// Prints its address as a line of JSON, then serves one run after the other.
Status receive(const ReceiveOptions& options);

}  // namespace reef::flow
