#pragma once
// How the replicas of a stage, each tensor-parallel rank by itself, sum the gradients of each
// bucket: the exchanges of a gradient sync, and what it remembers of what codecs left out.

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

void connect_sync(Frame& frame, std::uint32_t stage);

/// Bytes that a gradient sync holds from one round to the next, and of those what it saves: the
/// first of the replicas that have summed alike does, since they remember alike.
struct Remembered {
  std::uint64_t held = 0;
  std::uint64_t saved = 0;
};
Remembered remembered(Frame& frame, Place place, std::uint32_t sync);

}  // namespace reef::plan
