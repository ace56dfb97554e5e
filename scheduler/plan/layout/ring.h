#pragma once
// Where replicas share sequences: the edges of each attention layer's ring (segments.h), on which
// keys and values, and in backward sums of their gradients, go from replica to replica.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

/// Of all replicas and stages. To be called when all else has joined their acts: a ring's ports
/// come behind others.
void connect_rings(Frame& frame);

/// What a shard holds in its rings from one firing to the next, beside stashes and edges: of each
/// a micro-batch forward and one backward.
std::uint64_t ring_bytes(const Frame& frame, Place place);

}  // namespace reef::plan
