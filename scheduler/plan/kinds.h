#pragma once
// What a plan may put on devices of different kinds. Two kinds compute the same to rounding, not to
// the bit, so whatever copies keep equal by computing it each for themselves must be of one kind.

#include <string>

#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Whether all devices that the plan computes on are of one kind. Precondition: indices in range.
bool is_of_one_kind(const Plan& plan);

/// Why copies would drift apart, as one sentence with the remedy; empty when they do not: ranks of
/// a stage are of one kind, and so are its replicas unless each weight has one owner
/// (is_sharded()). Precondition: indices in range.
std::string problem_of_kinds(const Plan& plan);

}  // namespace reef::plan
