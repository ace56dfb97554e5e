#pragma once
// Where replicas share sequences: the edges of each attention layer's ring (passes.h), on which
// keys and values, and in backward sums of their gradients, go from replica to replica.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

/// Of all replicas and stages. To be called before anything else joins their acts, since ports have
/// an order.
void connect_rings(Frame& frame);

}  // namespace reef::plan
