#pragma once
// How the weights of a stage, of which each replica's optimizer has slices, come together in all of
// them: the exchanges of the sync, backwards.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

/// Which of a shard's gathers: the only one, or of layers that compute in turn one a direction.
struct Gathering {
  std::size_t gather = 0;
  std::string name = {};  ///< "" or ".forward"
};

/// What the gathers of a stage's replicas exchange; of `first` the replica does not count.
void connect_gather(Frame& frame, Place first, const Gathering& gathering);

/// Of a plan that shares weights out: from the optimizers to the gathers, and from these to layers.
void connect_layer_weights(Frame& frame);

}  // namespace reef::plan
