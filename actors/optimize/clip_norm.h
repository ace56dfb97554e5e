#pragma once
// The global gradient norm: square sums of all stages' tensors, added in canonical name order, and
// the scale that clips to the job's limit.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_clip_norm(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
