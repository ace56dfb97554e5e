#pragma once
// What the tensor-parallel ranks of a stage made, added up: the steps of an all-reduce by recursive
// doubling as acts of the plan's actor (ActorKind::kAllReduce). All ranks get the same bits.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_all_reduce(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
