#pragma once
// The all-gather of a sharded plan (scheduler/plan/pieces.h): each replica's optimizer has updated
// its slices of a stage's weights; this brings them to all replicas, as whole tensors for the
// layers.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

/// Failure: kJobValue for a codec that rounds but cannot be applied to weights.
Result<std::unique_ptr<Task>> make_all_gather(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
