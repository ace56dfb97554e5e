#pragma once
// How datacenters are to work together, where a job says `datacenters: {mode: auto}`: in lock-step,
// as replicas or as a pipeline across the line, with one codec or another; or by local steps, how
// far apart, in how many fragments and how packed. Whichever is expected to come to the same loss
// first. Pure: the same job and topology give the same mode.
//
//   time to a loss = text for it / text a second
//
// Text a second comes of the plans, played in virtual time, and of what an island's exchange asks
// of lines (outer_forecast.h); the text for it is the job's, and what the mode costs in quality
// (scheduler/cost/quality.h).

#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// One way, as weighed.
struct Mode {
  job::Job job;                  ///< with it
  std::string what;              ///< "local steps: every 32, 4 fragments, int4+zstd"
  double tokens_per_second = 0;  ///< of all datacenters; 0: it cannot be
  double extra_tokens = 0;       ///< share of text, beyond lock-step's without codecs
  double seconds = 0;            ///< to the loss
  std::string why = {};          ///< it was not taken
};

/// All ways of lock-step, and of each interval of local steps the best; the one to take first.
/// Precondition: the job is one of mode auto, and may use all of the topology. Failure:
/// choose_plan()'s of lock-step, where nothing can be.
Result<std::vector<Mode>> weigh_modes(const job::Job& job, const topology::Topology& topology);

}  // namespace reef::plan
