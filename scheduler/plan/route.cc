#include "scheduler/plan/route.h"

#include <algorithm>
#include <tuple>

namespace reef::plan {
namespace {

/// The best node that both can dial.
std::optional<NodeIndex> relay_for(const Plan& plan, NodeIndex a, NodeIndex b) {
  const Node &left = plan.nodes[a], &right = plan.nodes[b];
  std::optional<NodeIndex> best;
  const auto rank = [&](NodeIndex index) {
    const Node& node = plan.nodes[index];
    const bool near = node.datacenter == left.datacenter || node.datacenter == right.datacenter;
    return std::tuple(!near, std::string_view(node.name));
  };
  for (NodeIndex i = 0; i < plan.nodes.size(); ++i) {
    if (i == a || i == b) continue;
    if (!can_dial(left, plan.nodes[i]) || !can_dial(right, plan.nodes[i])) continue;
    if (!best || rank(i) < rank(*best)) best = i;
  }
  return best;
}

Result<Route> route_between(const Plan& plan, NodeIndex low, NodeIndex high) {
  const Node &a = plan.nodes[low], &b = plan.nodes[high];
  if (can_dial(a, b)) return Route{low, high, std::nullopt};
  if (can_dial(b, a)) return Route{high, low, std::nullopt};
  if (const auto relay = relay_for(plan, low, high)) return Route{low, high, relay};
  return Error{Code::kNoFit, "nodes " + a.name + " and " + b.name,
               "neither can be dialled by the other, and there is no third node that both can "
               "dial; make one of them dialable, or add a node with 'dialable: anywhere' that "
               "relays between them"};
}

}  // namespace

bool can_dial(const Node& from, const Node& to) {
  return to.dialable == Reach::kAnywhere ||
         (to.dialable == Reach::kDatacenter && to.datacenter == from.datacenter);
}

std::vector<std::pair<NodeIndex, NodeIndex>> pairs_of(const Plan& plan) {
  std::vector<std::pair<NodeIndex, NodeIndex>> pairs;
  for (const Edge& edge : plan.edges) {
    if (!edge.wire) continue;
    pairs.push_back(std::minmax(plan.actors[edge.producer].node, plan.actors[edge.consumer].node));
  }
  std::ranges::sort(pairs);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return pairs;
}

Status route(Plan& plan) {
  std::vector<Route> routes;
  for (const auto& [low, high] : pairs_of(plan)) {
    ATOLL_ASSIGN(routes.emplace_back(), route_between(plan, low, high));
  }
  plan.routes = std::move(routes);
  return {};
}

bool over_ucx(const Plan& plan, const Route& route) {
  const Node &a = plan.nodes[route.dialler], &b = plan.nodes[route.acceptor];
  return !a.ucx.empty() && !b.ucx.empty() && a.datacenter == b.datacenter && !route.relay;
}

}  // namespace reef::plan
