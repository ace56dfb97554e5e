#pragma once
// The plans of a job: one, or where datacenters train by local steps one of each. Pure.

#include <vector>

#include "scheduler/plan/make_plan.h"

namespace reef::plan {

/// The job itself, or that of each datacenter of the topology, which has no others than the job may
/// use.
std::vector<job::Job> parts_of(const job::Job& job, const topology::Topology& topology);

/// Of each part; with a pace of its own as many steps as it makes in the time of the others'. Where
/// the job has mode auto, of the mode that was taken, as the plans' descriptors say.
/// Failure: choose_plan()'s; of a job of islands it names the datacenter.
Result<std::vector<Choice>> choose_plans(const job::Job& job, const topology::Topology& topology);
Result<std::vector<Plan>> make_plans(const job::Job& job, const topology::Topology& topology);

/// Where the island's outer store is. Precondition: the plan is an island's.
NodeIndex outer_store_of(const Plan& plan);

}  // namespace reef::plan
