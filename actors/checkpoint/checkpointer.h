#pragma once
// The checkpointer: gathers the parts of one version from all stages' stores and writes them, whole
// or not at all.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_checkpointer(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
