#pragma once
// From summed gradients to the next round's weights, and to what a checkpoint keeps of them.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

/// What ranks must add up first, and from the optimizers to all norms.
void connect_squares(Frame& frame);
/// Optimizers, and how layers come by their new weights.
void connect_weights(Frame& frame);
void connect_state(Frame& frame);

}  // namespace reef::plan
