#pragma once
// A short trial of a job on this machine: its data, its micro-batches and its whole model in one
// process.

#include "runtime/base/error.h"
#include "scheduler/job/job.h"

namespace reef::app {

/// Seconds of one training step of one replica: the least of two, after one that warms up. The
/// loader reads ahead on a thread of its own, into as many slots as the job says, while the model
/// computes with `threads`; so a step shows what waiting for data costs. A slot comes back after
/// backward, a little later than in a plan. No stages, no exchange of
/// gradients: what a pipeline or a line adds is the plan's prediction, not measured here.
/// Failure: kData.
Result<double> time_step(const job::Job& job, std::size_t threads);

}  // namespace reef::app
