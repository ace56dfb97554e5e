#pragma once
// A plan for scripts: all that people are told (print.h), and what is left out for them. Pure.

#include <span>
#include <string>

#include "scheduler/plan/modes.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Job and layout, nodes with the memory they need, actors with their acts, edges, routes: what is
/// said by index in a plan is said by name. The descriptor as what it holds, or null if it is no
/// JSON. Of `modes` the first was taken, the others say why not. Precondition: validate(plan) is
/// ok.
std::string plan_to_json(const Plan& plan, std::span<const Mode> modes = {});

}  // namespace reef::plan
