#pragma once
// The far end of a wire edge: decodes what a peer sent, believing nothing of it.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_receive(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
