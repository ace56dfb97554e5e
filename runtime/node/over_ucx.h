#pragma once
// From a sealed link to a peer to a sealed link to it over UCX.

#include <functional>
#include <memory>

#include "runtime/link/channel/streams.h"
#include "runtime/link/ucx/ucx.h"
#include "runtime/node/identity.h"

namespace reef::node {

/// Makes `life_line`, one link that was opened for secure::Purpose::kUcx, the life line of a UCX
/// link, and seals that again: the seal is between the two nodes, whatever carries it.
/// UCX believes what a peer sends it, so the peer must be of our datacenter by its credential, and
/// `context` must be ours to use. Thread: the loop's; `done` runs on it. Failure: kRefused or
/// kUsage before a byte of the peer's reaches UCX; else as ucx::join and secure::connect.
void to_ucx(link::Loop& loop, std::shared_ptr<link::ucx::Context> context, const Identity& identity,
            link::Streams life_line, bool dialled, Deadline deadline,
            std::function<void(Result<link::Streams>)> done);

}  // namespace reef::node
