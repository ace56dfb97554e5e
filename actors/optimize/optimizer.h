#pragma once
// The optimizer shard: the one owner of a stage's master weights and moments, or in a sharded plan
// of its replica's slices of them. It publishes weights as register slots, or slices for the
// all-gather.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
