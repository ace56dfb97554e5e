#include "runtime/node/relaying.h"

#include <algorithm>

namespace reef::node {

Status may_be_joined(const plan::Plan& plan, const Assign& assign, const security::Credential& who,
                     const link::relay::Join& join) {
  if (join.epoch != assign.epoch)
    return Error{Code::kFenced, who.name, "asked to be joined in another epoch"};
  const auto holds = [&assign](plan::NodeIndex node, const security::PublicKey& key) {
    return std::ranges::equal(assign.peers[node].noise_key, key);
  };
  const auto leads = [&](plan::NodeIndex from, plan::NodeIndex to) {
    return plan.nodes[from].name == who.name && holds(from, who.noise_key) && holds(to, join.far);
  };
  for (const plan::Route& route : plan.routes) {
    if (route.relay != assign.node) continue;
    if (leads(route.dialler, route.acceptor) || leads(route.acceptor, route.dialler)) return {};
  }
  return Error{Code::kRefused, who.name, "asked to be joined where no route leads through here"};
}

}  // namespace reef::node
