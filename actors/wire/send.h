#pragma once
// The near end of a wire edge: encodes a token's tensors with the edge's codec.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_send(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
