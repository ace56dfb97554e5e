#pragma once
// How nodes that share wire edges come together, though some of them can only dial out: directly,
// whoever of the two can dial, or through a third that both can dial.

#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Whether the one can open a connection to the other.
bool can_dial(const Node& from, const Node& to);

/// Every two nodes that share a wire edge: the lower index first, ascending, each pair once.
/// Precondition: the plan's indices are in range.
std::vector<std::pair<NodeIndex, NodeIndex>> pairs_of(const Plan& plan);

/// Sets plan.routes from plan.nodes[].dialable, one for each of pairs_of(), in its order. A direct
/// route wins, dialled by the lower index if it can. A relay stands in the datacenter of one of the
/// two if there is such a node; among those the first by name. kNoFit, naming both nodes and the
/// remedy, for a pair without a route; plan.routes then is as it was.
Status route(Plan& plan);

/// Whether the two talk over UCX and not over TCP: both offer it, within one datacenter, and nobody
/// is between them.
bool over_ucx(const Plan& plan, const Route& route);

}  // namespace reef::plan
