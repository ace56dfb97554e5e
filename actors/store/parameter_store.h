#pragma once
// The parameter store of a stage: holds the last published version of its state and hands it on to
// the checkpointer, off the path of the training steps.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_parameter_store(const TaskSetup& setup,
                                                   const plan::Actor& actor);

}  // namespace reef::actors
