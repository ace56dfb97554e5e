#pragma once
// Two ends of a link inside one process.

#include <memory>
#include <utility>

#include "runtime/link/link.h"

namespace reef::link::inproc {

/// A connected pair, each end on its own executor (which may be the same, and outlives that end). A
/// frame is moved, never copied; its Done runs once the other end has taken it, so a slow reader
/// holds the writer back.
std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> pair(Executor& left, Executor& right);

}  // namespace reef::link::inproc
