#pragma once
// Gradient synchronisation across replicas: the steps of the leaf-tree all-reduce as acts of the
// dataflow.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_gradient_sync(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
