#pragma once
// Gradient synchronisation of a sharded plan (scheduler/plan/pieces.h): recursive halving along the
// leaf tree. After the last exchange each replica holds the sums of its own slices, with the bits
// that the all-reduce would give, for half of its bytes or less. Where the plan says so, replicas
// meet after each micro-batch (scheduler/plan/leaf_order.h): then no replica keeps sums of what it
// does not own, for as many times the bytes.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_halving_sync(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
