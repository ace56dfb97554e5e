#pragma once
// The optimizer shard: the one owner of a stage's master weights and moments. It publishes weights
// as register slots.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
