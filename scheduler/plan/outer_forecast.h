#pragma once
// What an island's exchange with the others asks of the lines between them, as expected. Pure.

#include <string>
#include <vector>

#include "scheduler/job/job.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

struct OuterForecast {
  /// To another island, of as much each way.
  struct Way {
    std::string to;    ///< datacenter
    double bytes = 0;  ///< each way, of all fragments once
    double busy = 0;   ///< share of the time in which the line carries them; over 1: too slow
    double delay = 0;  ///< own steps from a telling of one fragment to its update
  };
  std::vector<Way> ways;
  /// Own steps from one telling of a fragment to the next: the job's, or more where a line is too
  /// slow for these, since a store that waits for updates tells no more (decision 0025).
  double inner_steps = 0;
  /// Of a step with the exchange's work in it, which no line makes anybody wait for: it takes the
  /// processors from training, so a slow line, on which less is told, costs no tokens a second.
  double step_seconds = 0;
  /// Tokens a second on these lines over those on lines without limits.
  double utilisation = 1;
};

/// `job`: an island's, whose step takes `step_seconds`.
OuterForecast forecast_outer(const job::Job& job, const topology::Topology& topology,
                             double step_seconds);

}  // namespace reef::plan
