#include "scheduler/plan/make_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "runtime/base/units.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/simulate.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

/// Encoded bytes of one training step. Snapshots are rare and left out.
struct Traffic {
  double between_datacenters = 0;
  double between_nodes = 0;
};

Traffic traffic_of(const Plan& plan) {
  Traffic traffic;
  for (const Edge& edge : plan.edges) {
    if (!edge.wire || edge.content == Content::kState) continue;
    const double bytes = static_cast<double>(edge.bytes) * edge.tokens * edge.ratio;
    const Node& from = plan.nodes[plan.actors[edge.producer].node];
    const Node& to = plan.nodes[plan.actors[edge.consumer].node];
    traffic.between_nodes += bytes;
    if (from.datacenter != to.datacenter) traffic.between_datacenters += bytes;
  }
  return traffic;
}

/// The bytes by which the fullest node exceeds its memory; 0: everything fits.
struct Shortfall {
  std::uint64_t bytes = 0;
  std::size_t node = 0;
};

Shortfall shortfall_of(const Plan& plan) {
  const auto needed = memory_of(plan);
  Shortfall worst;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const std::uint64_t limit = plan.nodes[i].memory;
    if (needed[i] > limit && needed[i] - limit > worst.bytes) worst = {needed[i] - limit, i};
  }
  return worst;
}

struct Candidate {
  placement::Spread spread;
  Plan plan;
  Traffic traffic;
  Shortfall shortfall;
};

/// The same without the nodes that only relay: what the model is spread over.
topology::Topology workers_of(const topology::Topology& topology) {
  topology::Topology workers = topology;
  std::erase_if(workers.nodes, [](const topology::Node& node) { return node.relay_only; });
  return workers;
}

Candidate candidate(const job::Job& job, const topology::Topology& topology,
                    placement::Spread spread) {
  Plan plan = lay_out(job, workers_of(topology), spread);
  for (const topology::Node& node : topology.nodes) {
    if (node.relay_only) plan.nodes.push_back(plan_node(node));
  }
  const Traffic traffic = traffic_of(plan);
  const Shortfall shortfall = shortfall_of(plan);
  return {spread, std::move(plan), traffic, shortfall};
}

/// Fitting before not fitting, then few bytes on slow lines, then few bytes at all.
bool better(const Candidate& a, const Candidate& b) {
  if (a.shortfall.bytes != b.shortfall.bytes) return a.shortfall.bytes < b.shortfall.bytes;
  if (a.traffic.between_datacenters != b.traffic.between_datacenters) {
    return a.traffic.between_datacenters < b.traffic.between_datacenters;
  }
  return a.traffic.between_nodes < b.traffic.between_nodes;
}

std::string traffic_text(const Traffic& traffic) {
  const auto size = [](double bytes) { return format_size(static_cast<std::uint64_t>(bytes)); };
  return size(traffic.between_datacenters) + " a step between datacenters, " +
         size(traffic.between_nodes) + " between nodes";
}

std::string spread_name(placement::Spread spread) {
  return spread == placement::Spread::kReplicas ? "replicas spread over datacenters"
                                                : "stages spread over datacenters";
}

Error too_little_memory(const Plan& plan, Shortfall shortfall) {
  std::uint64_t state = 0;
  for (const Actor& actor : plan.actors) {
    if (actor.node == shortfall.node) state += actor.state_bytes;
  }
  const Node& node = plan.nodes[shortfall.node];
  const std::uint64_t needed = node.memory + shortfall.bytes;
  return Error{Code::kNoFit, "node " + node.name,
               "needs " + format_size(needed) + " = " + format_size(state) +
                   " of weights, moments and accumulators + " + format_size(needed - state) +
                   " of registers, but may use " + format_size(node.memory) + ": short by " +
                   format_size(shortfall.bytes) +
                   "; use more stages, a smaller sequencesPerLeaf or nodes with more memory"};
}

bool is_reproducible(const Plan& plan) {
  return std::none_of(plan.edges.begin(), plan.edges.end(), [](const Edge& edge) {
    return cost::codec_is_lossy(edge.codec, edge.dtype);
  });
}

Status check_shards(const job::Job& job, const topology::Topology& topology) {
  std::vector<std::string> nodes;
  for (const topology::Node& node : workers_of(topology).nodes) nodes.push_back(node.name);
  return placement::shards_fit({job.parallelism.dp, job.parallelism.pp}, nodes);
}

}  // namespace

Result<Plan> make_plan(const job::Job& job, const topology::Topology& topology) {
  ATOLL_TRY(check_shards(job, topology));
  Candidate chosen = candidate(job, topology, placement::Spread::kReplicas);
  Candidate other = candidate(job, topology, placement::Spread::kStages);
  if (better(other, chosen)) std::swap(chosen, other);
  if (chosen.shortfall.bytes > 0) return too_little_memory(chosen.plan, chosen.shortfall);

  Plan plan = std::move(chosen.plan);
  plan.layout = spread_name(chosen.spread) + ": " + traffic_text(chosen.traffic) + "; " +
                spread_name(other.spread) + " would send " + traffic_text(other.traffic);
  plan.reproducible = is_reproducible(plan);
  ATOLL_TRY(route(plan));
  ATOLL_TRY(validate(plan));
  ATOLL_TRY(prove_live(plan));
  plan.predicted_step_seconds =
      simulate(plan, topology, job::spec_of(job), tokens_per_leaf(job)).step_seconds;
  return plan;
}

}  // namespace reef::plan
