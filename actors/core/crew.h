#pragma once
// The actors of one node: spawned from the plan, joined by registers, and stopped together.

#include <caf/actor_system.hpp>
#include <memory>

#include "actors/core/host.h"
#include "runtime/base/clock.h"
#include "runtime/base/device_name.h"
#include "runtime/node/crew.h"

namespace reef::actors {

/// Where a crew runs. Everything outlives it.
struct CrewSite {
  caf::actor_system& system;
  device::Stream& compute;  ///< the device's stream: layers, loss, optimizer
  device::Stream& io;  ///< codecs, files and bookkeeping, so that they never stand before a GEMM
  const Clock& clock;
  Trace trace;  ///< may be empty
  /// Lets stopped actors end; empty where CAF has threads of its own that do.
  std::function<void()> settle = nullptr;
  DeviceName device = {};  ///< which `compute` is of
};

/// Failure: what a task cannot open, named by its actor; kUsage when the plan has the node compute
/// on another device than the site's, kNoFit when that lacks kernels for the job.
Result<std::unique_ptr<node::Crew>> make_crew(CrewSite site, const node::CrewSetup& setup);

}  // namespace reef::actors
