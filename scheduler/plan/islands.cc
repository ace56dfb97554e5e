#include "scheduler/plan/islands.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace reef::plan {

std::vector<job::Job> parts_of(const job::Job& job, const topology::Topology& topology) {
  if (!job.local_steps || job.island) return {job};
  job::Island island;
  for (const topology::Node& node : topology.nodes) {
    if (!node.relay_only && std::ranges::count(island.datacenters, node.datacenter) == 0)
      island.datacenters.push_back(node.datacenter);
  }
  std::vector<job::Job> parts;
  for (; island.index < island.count(); ++island.index)
    parts.push_back(job::island_of(job, island));
  return parts;
}

namespace {

/// Slower ones than this against the fastest make fewer steps.
constexpr double kAlike = 0.95;

/// What an island is told of its place and pace must still be a job.
Status check_descriptor(const Plan& plan) {
  const auto job = job::job_from_json(plan.descriptor);
  return job.ok() ? Status() : Status(job.error());
}

/// As many steps in all as the job has of so many datacenters, shared out by what a step takes.
Status give_each_its_pace(std::vector<Choice>& choices) {
  double fastest = 0, sum = 0;
  std::vector<double> speeds;
  for (const Choice& choice : choices) {
    speeds.push_back(1 / std::max(choice.forecast.step_seconds, 1e-12));
    fastest = std::max(fastest, speeds.back());
    sum += speeds.back();
  }
  if (std::ranges::all_of(speeds, [&](double speed) { return speed >= kAlike * fastest; }))
    return {};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const double factor = speeds[i] / sum * static_cast<double>(choices.size());
    // What mode auto has chosen stands in the descriptor.
    ATOLL_ASSIGN(const job::Job chosen, job::job_from_json(choices[i].plan.descriptor));
    choices[i].plan.descriptor = job::job_to_json(job::at_pace(chosen, factor));
    ATOLL_TRY(check_descriptor(choices[i].plan));
  }
  return {};
}

}  // namespace

Result<std::vector<Choice>> choose_plans(const job::Job& job, const topology::Topology& topology) {
  ATOLL_ASSIGN(const topology::Topology meant, topology::within(topology, job.datacenters));
  if (job.automatic) {
    ATOLL_ASSIGN(std::vector<Mode> modes, weigh_modes(job, meant));
    ATOLL_ASSIGN(auto chosen, choose_plans(modes.front().job, topology));
    chosen.front().modes = std::move(modes);
    return chosen;
  }
  const std::vector<job::Job> parts = parts_of(job, meant);
  std::vector<Choice> choices;
  for (const job::Job& part : parts) {
    auto choice = choose_plan(part, meant);
    if (choice.ok()) {
      choices.push_back(std::move(*choice));
      continue;
    }
    if (!part.island) return choice.error();
    const Error& why = choice.error();
    return Error{
        why.code, why.where,
        "datacenter " + part.island->datacenters[part.island->index] + " by itself: " + why.what};
  }
  if (job.local_steps && !job.island) {
    if (job.local_steps->quorum > parts.size()) {
      return Error{Code::kJobValue, "spec.datacenters.quorum",
                   std::to_string(job.local_steps->quorum) + " datacenters, but the job has " +
                       std::to_string(parts.size()) + "; there would never be an update"};
    }
    for (const Choice& choice : choices) ATOLL_TRY(check_descriptor(choice.plan));
    if (job.local_steps->own_pace) ATOLL_TRY(give_each_its_pace(choices));
  }
  for (Choice& choice : choices) {
    const job::Job own = job::job_from_json(choice.plan.descriptor).value();
    if (!own.island) continue;
    choice.outer = forecast_outer(own, topology, choice.forecast.step_seconds);
    choice.plan.predicted_step_seconds = choice.outer->step_seconds;
  }
  return choices;
}

Result<std::vector<Plan>> make_plans(const job::Job& job, const topology::Topology& topology) {
  ATOLL_ASSIGN(auto choices, choose_plans(job, topology));
  std::vector<Plan> plans;
  for (Choice& choice : choices) plans.push_back(std::move(choice.plan));
  return plans;
}

NodeIndex outer_store_of(const Plan& plan) {
  const auto store = std::ranges::find(plan.actors, ActorKind::kOuterStore, &Actor::kind);
  CHECK(store != plan.actors.end());
  return store->node;
}

}  // namespace reef::plan
