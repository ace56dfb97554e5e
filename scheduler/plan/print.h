#pragma once
// A plan for people; for scripts: print_json.h.

#include <iosfwd>
#include <string>

#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Which nodes are paced, and what that means for measured times; empty: none.
std::string paced_text(const Plan& plan);

/// "4 micro-batches a round on each replica"
std::string micro_batches_text(const Plan& plan);

/// Job and layout, nodes with the memory they need, actors by node, edges. Precondition:
/// validate(plan) is ok.
void print_plan(const Plan& plan, std::ostream& out);

}  // namespace reef::plan
