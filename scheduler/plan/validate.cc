#include "scheduler/plan/validate.h"

#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/plan/memory.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/validation/actors.h"
#include "scheduler/plan/validation/edges.h"
#include "scheduler/plan/validation/header.h"
#include "scheduler/plan/validation/refusal.h"

namespace reef::plan {
namespace {

/// Every pair that needs one has a route that can be walked, in the order of pairs_of().
Status check_routes(const Plan& plan) {
  const auto pairs = pairs_of(plan);
  if (pairs.size() != plan.routes.size())
    return broken("routes", "not one for each two nodes that share a wire edge");
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Route& route = plan.routes[i];
    const std::pair<NodeIndex, NodeIndex> ends = std::minmax(route.dialler, route.acceptor);
    if (ends != pairs[i])
      return broken("routes", "not one for each two nodes that share a wire edge");
    const Node &dialler = plan.nodes[route.dialler], &acceptor = plan.nodes[route.acceptor];
    const bool third = route.relay && *route.relay < plan.nodes.size() &&
                       *route.relay != route.dialler && *route.relay != route.acceptor &&
                       can_dial(dialler, plan.nodes[*route.relay]) &&
                       can_dial(acceptor, plan.nodes[*route.relay]);
    if (route.relay ? !third : !can_dial(dialler, acceptor))
      return broken(dialler.name + " to " + acceptor.name, "a route that nobody can dial");
  }
  return {};
}

Status check_memory(const Plan& plan) {
  const auto needed = memory_of(plan);
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (needed[i] <= plan.nodes[i].memory) continue;
    return broken(plan.nodes[i].name, "needs " + std::to_string(needed[i]) + " bytes but may use " +
                                          std::to_string(plan.nodes[i].memory));
  }
  return {};
}

}  // namespace

/// In this order: each part indexes only by what those before it have checked.
Status validate(const Plan& plan) {
  ATOLL_TRY(check_header(plan));
  ATOLL_TRY(check_nodes(plan));
  ATOLL_TRY(check_edges(plan));
  ATOLL_TRY(check_actors(plan));
  ATOLL_TRY(check_routes(plan));
  return check_memory(plan);
}

}  // namespace reef::plan
