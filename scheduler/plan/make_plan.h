#pragma once
// From a job and a topology to a plan. Pure: no file, no clock, no random number.

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/modes.h"
#include "scheduler/plan/outer_forecast.h"
#include "scheduler/plan/plan.h"
#include "scheduler/plan/simulate.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// A layout that was not taken.
struct RunnerUp {
  std::string layout;
  std::string why;          ///< it lost
  double step_seconds = 0;  ///< 0: it does not fit
  std::string traffic;
};

/// A plan, what it is expected to do, and the next best three (search.h).
struct Choice {
  Plan plan;
  Forecast forecast;
  std::vector<RunnerUp> runners_up;
  std::optional<OuterForecast> outer = {};  ///< of an island
  std::vector<Mode> modes = {};  ///< of a job of mode auto: what was weighed; the first is taken
};

/// Cuts, places and joins: the best of the layouts that the job allows (search.h). The plan is
/// validated, live, fits its nodes' memory and has a predicted step time; its descriptor says what
/// mode auto has chosen. kNoFit: idle nodes or too little memory, with the arithmetic of the layout
/// that came closest, or two nodes that cannot come together (route.h). kJobGraph: not live.
/// kUsage: how its datacenters work together is not chosen (islands.h).
Result<Choice> choose_plan(const job::Job& job, const topology::Topology& topology);
/// The plan alone.
Result<Plan> make_plan(const job::Job& job, const topology::Topology& topology);

}  // namespace reef::plan
