#pragma once
// The strips of a sum that crossed between datacenters, joined for all ranks at this end: the steps
// of an all-gather by recursive doubling as acts of the plan's actor (ActorKind::kJoin).

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_join(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
