#include "scheduler/plan/kinds.h"

#include <map>
#include <tuple>

#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/pieces.h"

namespace reef::plan {
namespace {

const std::string& kind_of(const Plan& plan, const Actor& actor) {
  return plan.nodes[actor.node].device.name.kind;
}

std::string both(const Plan& plan, const Actor& a, const Actor& b) {
  return "stage " + std::to_string(a.stage) + " would be on " + plan.nodes[a.node].name + " (" +
         kind_of(plan, a) + ") and " + plan.nodes[b.node].name + " (" + kind_of(plan, b) + ")";
}

}  // namespace

bool is_of_one_kind(const Plan& plan) {
  const std::string* first = nullptr;
  for (const Actor& actor : plan.actors) {
    if (!computes(actor.kind)) continue;
    if (first == nullptr) first = &kind_of(plan, actor);
    if (kind_of(plan, actor) != *first) return false;
  }
  return true;
}

std::string problem_of_kinds(const Plan& plan) {
  if (is_of_one_kind(plan)) return {};
  const bool one_owner = is_sharded(plan);
  std::map<std::uint32_t, const Actor*> of_stage;
  std::map<std::pair<std::uint32_t, std::uint32_t>, const Actor*> of_replica;
  for (const Actor& actor : plan.actors) {
    if (actor.kind != ActorKind::kLayerShard) continue;
    const Actor* rank = of_replica.try_emplace({actor.stage, actor.replica}, &actor).first->second;
    if (kind_of(plan, *rank) != kind_of(plan, actor)) {
      return both(plan, *rank, actor) +
             ", whose ranks would keep unequal copies of norms and biases; ranks must be on "
             "devices of one kind";
    }
    const Actor* replica = of_stage.try_emplace(actor.stage, &actor).first->second;
    if (!one_owner && kind_of(plan, *replica) != kind_of(plan, actor)) {
      return both(plan, *replica, actor) +
             ", whose replicas would each update their own copy of the weights, and two kinds of "
             "device round differently; add zero_stage: 1, so that each weight has one owner";
    }
  }
  return {};
}

}  // namespace reef::plan
