#include "scheduler/plan/validation/header.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <string_view>
#include <unordered_set>

#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/shape.h"
#include "scheduler/plan/validation/refusal.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {
namespace {

using topology::kMostNodes;
constexpr std::size_t kMostActors = 1 << 20;
constexpr std::size_t kMostEdges = 1 << 21;
constexpr std::size_t kLongestText = 1 << 20;
constexpr std::uint32_t kMostReplicas = 1024;  ///< and stages, ranks, leaves
constexpr std::uint32_t kMostContext = 64;     ///< else rings would take long to prove live
constexpr std::size_t kMostBuckets = 256;      ///< likewise what fires for each
constexpr double kHighestSpeed = 1e24;         ///< FLOP/s and bytes/s of a device

using Names = std::unordered_set<std::string_view>;

/// After the counts that they deal out.
Status check_micro_batches(const Plan& plan) {
  const auto& counts = plan.micro_batches;
  if (counts.empty()) return {};
  const std::uint64_t dealt = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (counts.size() != plan.replicas / plan.context || dealt != plan.leaves ||
      std::ranges::find(counts, 0u) != counts.end())
    return broken("micro-batches", "do not deal out the leaves, to each replica some");
  if (std::ranges::all_of(counts, [&](std::uint32_t count) { return count == counts[0]; }))
    return broken("micro-batches", "are listed, but are equal");
  if (sums_each_micro_batch(plan))
    return broken("micro-batches", "are unequal, but replicas meet after each");
  if (plan.shares_weights)
    return broken("micro-batches", "are unequal, but replicas gather weights for each");
  return {};
}

Status check(const Node& node, Names& names) {
  if (!good_name(node.name) || !names.insert(node.name).second) {
    return broken(node.name, "not a name, or the name of two nodes");
  }
  if (!good_name(node.datacenter) || !good_name(node.address)) {
    return broken(node.name, "a datacenter or address that is not a name");
  }
  if (!node.ucx.empty() && !good_name(node.ucx)) {
    return broken(node.name, "devices for UCX that are no names");
  }
  if (node.threads < 1 || node.threads > 4096)
    return broken(node.name, "a count of threads that cannot be");
  if (node.dialable > Reach::kAnywhere) return broken(node.name, "dialable from nowhere known");
  const auto rate = [](double value) {
    return value == 0 || (value >= 1 && value <= kHighestSpeed);
  };
  if (!rate(node.device.speed) || !rate(node.device.bandwidth))
    return broken(node.name, "a speed or bandwidth that cannot be");
  if (!node.device.name.is_valid()) return broken(node.name, "a device that cannot be");
  if (node.device.paced && node.device.speed == 0)
    return broken(node.name, "paced without a speed");
  return {};
}

}  // namespace

Status check_header(const Plan& plan) {
  if (!good_name(plan.job)) return broken("job", "not a name");
  if (plan.descriptor.size() > kLongestText || plan.layout.size() > kLongestText) {
    return broken("descriptor", "longer than a descriptor can be");
  }
  if (plan.nodes.empty() || plan.nodes.size() > kMostNodes)
    return broken("nodes", "none or too many");
  if (plan.actors.size() > kMostActors) return broken("actors", "too many");
  if (plan.edges.size() > kMostEdges) return broken("edges", "too many");
  const auto power = [](std::uint32_t n) { return std::has_single_bit(n) && n <= kMostReplicas; };
  if (!power(plan.context) || plan.context > std::min(kMostContext, plan.replicas))
    return broken("context", "not a power of two that divides the replicas, or too many");
  if (!power(plan.replicas) || !power(plan.leaves) || plan.replicas / plan.context > plan.leaves) {
    return broken("replicas", "not a power of two whose contexts divide the leaves");
  }
  ATOLL_TRY(check_micro_batches(plan));
  const auto& cuts = plan.buckets;
  if (cuts.size() > kMostBuckets) return broken("buckets", "too many");
  if (std::ranges::adjacent_find(cuts, std::greater_equal<>()) != cuts.end())
    return broken("buckets", "not in the order of layers");
  if (plan.stages < 1 || plan.stages > kMostReplicas) return broken("stages", "none or too many");
  if (!power(plan.ranks)) return broken("ranks", "not a power of two, or too many");
  const bool shares_others = plan.ranks > 1 || plan.context > 1;
  if (plan.shares_weights && (shares_others || !sharing_of(plan).state))
    return broken("weights", "shared out among those who do not share state, or share layers");
  if (!std::isfinite(plan.predicted_step_seconds) || plan.predicted_step_seconds < 0) {
    return broken("predicted step", "not a time");
  }
  return {};
}

Status check_nodes(const Plan& plan) {
  Names names;
  for (const Node& node : plan.nodes) ATOLL_TRY(check(node, names));
  return {};
}

}  // namespace reef::plan
