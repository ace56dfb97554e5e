#pragma once
// The edges along which micro-batches pass through a replica's stages, forward and back, and how
// many of them may be under way.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

/// Micro-batches that a shard may have between forward and backward.
std::uint32_t stash_slots(const Frame& frame, Place place);

void connect_forward(Frame& frame, std::uint32_t replica);
void connect_backward(Frame& frame, std::uint32_t replica);

}  // namespace reef::plan
