#pragma once
// The edges along which micro-batches pass through a replica's stages, forward and back, and how
// many of them may be under way.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

void connect_forward(Frame& frame, std::uint32_t replica);
void connect_backward(Frame& frame, std::uint32_t replica);

}  // namespace reef::plan
