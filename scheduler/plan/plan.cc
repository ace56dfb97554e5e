#include "scheduler/plan/plan.h"

#include <algorithm>

namespace reef::plan {
namespace {

bool same(const std::vector<Port>& a, const std::vector<Port>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Port& x, const Port& y) {
    return x.edge == y.edge && x.group == y.group;
  });
}

}  // namespace

const Actor& taker_of(const Plan& plan, const Edge& edge) {
  const Actor* taker = &plan.actors[edge.consumer];
  while (taker->kind == ActorKind::kSend || taker->kind == ActorKind::kReceive)
    taker = &plan.actors[plan.edges[taker->acts[0].outputs[0].edge].consumer];
  return *taker;
}

bool Act::operator==(const Act& other) const {
  return name == other.name && firings == other.firings && priority == other.priority &&
         same(inputs, other.inputs) && same(outputs, other.outputs);
}

std::uint32_t micro_batches_of(const Plan& plan, std::uint32_t replica) {
  return plan.micro_batches.empty() ? plan.leaves / (plan.replicas / plan.context)
                                    : plan.micro_batches[replica / plan.context];
}

}  // namespace reef::plan
