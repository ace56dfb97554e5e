#pragma once
// What the planner chose and why, for people; and a plan as a picture.

#include <iosfwd>

#include "scheduler/plan/make_plan.h"

namespace reef::plan {

/// The plan (print.h), what each node and line is expected to do, and why the runners-up lost.
void print_choice(const Choice& choice, std::ostream& out);

/// How the job's datacenters are to work together, and why not otherwise; nothing where the job
/// says it. `lines`: on what.
void print_modes(const Choice& choice, const std::vector<topology::Line>& lines, std::ostream& out);

/// Actors by node, joined by edges, in Graphviz's language: `dot -Tsvg`. Precondition:
/// validate(plan) is ok.
void print_dot(const Plan& plan, std::ostream& out);

}  // namespace reef::plan
