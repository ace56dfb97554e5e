#include "scheduler/plan/make_plan.h"

#include <algorithm>

#include "runtime/base/units.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/kinds.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/search.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/teaching.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

constexpr std::size_t kRunnersUp = 3;

Error too_little_memory(const Candidate& closest) {
  std::uint64_t state = 0;
  for (const Actor& actor : closest.plan.actors) {
    if (actor.node == closest.fullest) state += actor.state_bytes;
  }
  const Node& node = closest.plan.nodes[closest.fullest];
  const std::uint64_t needed = node.memory + closest.short_by;
  return Error{Code::kNoFit, "node " + node.name,
               "needs " + format_size(needed) + " = " + format_size(state) +
                   " of weights, moments and accumulators + " + format_size(needed - state) +
                   " of registers, but may use " + format_size(node.memory) + ": short by " +
                   format_size(closest.short_by) +
                   "; use a higher pp, recompute: full, a smaller sequencesPerLeaf or nodes with "
                   "more memory"};
}

std::string traffic_text(const Candidate& candidate) {
  const auto size = [](double bytes) { return format_size(static_cast<std::uint64_t>(bytes)); };
  return size(candidate.wide_bytes) + " between datacenters, " + size(candidate.node_bytes) +
         " between nodes";
}

bool is_reproducible(const Plan& plan) {
  return plan.ranks == 1 && plan.context == 1 && plan.micro_batches.empty() &&
         is_of_one_kind(plan) && nodes_that_ask(plan).empty() &&
         std::none_of(plan.edges.begin(), plan.edges.end(), [](const Edge& edge) {
           return cost::codec_is_lossy(edge.codec, edge.dtype);
         });
}

/// Layouts whose copies would drift apart; there is at least one of another kind.
Status leave_out_mixed(std::vector<Candidate>& found) {
  const std::string first = problem_of_kinds(found.front().plan);
  std::erase_if(found, [](const Candidate& one) { return !problem_of_kinds(one.plan).empty(); });
  if (!found.empty()) return {};
  return Error{Code::kNoFit, "spec.parallelism", first};
}

Status check_shards(const job::Job& job, const topology::Topology& topology) {
  std::vector<std::string> nodes;
  for (const topology::Node& node : topology.nodes) {
    if (!node.relay_only) nodes.push_back(node.name);
  }
  if (job.parallelism.mode == job::Parallelism::Mode::kManual)
    return placement::shards_fit(shards_of(job.parallelism), nodes);
  if (!nodes.empty()) return {};
  return Error{Code::kNoFit, "topology " + topology.name, "has no node but such that only relay"};
}

}  // namespace

Result<Choice> choose_plan(const job::Job& job, const topology::Topology& whole) {
  if (job.automatic) {
    return Error{Code::kUsage, "spec.datacenters.mode",
                 "auto may make several plans of a job, and one was asked for; say mode: "
                 "synchronous or local_steps"};
  }
  ATOLL_ASSIGN(const topology::Topology topology, topology::within(whole, job.datacenters));
  if (job.serves) return choose_teacher(job, topology);
  ATOLL_TRY(check_shards(job, topology));
  std::vector<Candidate> found = search(job, topology);
  if (found.empty()) {
    return Error{
        Code::kNoFit, "spec.parallelism",
        "no split of " + std::to_string(topology.nodes.size()) +
            " nodes into replicas and pipelines suits this model and its leaves; use fewer "
            "nodes or more leaves"};
  }
  ATOLL_TRY(leave_out_mixed(found));
  Candidate& best = found.front();
  if (best.short_by > 0) return too_little_memory(best);

  Choice choice;
  for (std::size_t i = 1; i < std::min(found.size(), kRunnersUp + 1); ++i) {
    choice.runners_up.push_back({describe(found[i]), reason(found[i], best),
                                 found[i].forecast.step_seconds, traffic_text(found[i])});
  }
  choice.forecast = std::move(best.forecast);
  choice.plan = std::move(best.plan);
  Plan& plan = choice.plan;
  plan.layout = describe(best) + ": " + traffic_text(best) + " a step";
  plan.reproducible = is_reproducible(plan);
  ATOLL_TRY(route(plan));
  ATOLL_TRY(validate(plan));
  ATOLL_TRY(prove_live(plan));
  return choice;
}

Result<Plan> make_plan(const job::Job& job, const topology::Topology& topology) {
  ATOLL_ASSIGN(Choice choice, choose_plan(job, topology));
  return std::move(choice.plan);
}

}  // namespace reef::plan
