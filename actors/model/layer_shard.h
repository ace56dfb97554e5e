#pragma once
// A stage of the model: runs its layers forward and backward, keeps one tape per micro-batch in
// flight, and adds the gradients of its leaves along the balanced tree of rule 7.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_layer_shard(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
