#include "scheduler/plan/leaf_order.h"

#include <algorithm>

namespace reef::plan {

bool sums_each_micro_batch(const Plan& plan) {
  return std::ranges::any_of(plan.actors, [](const Actor& actor) {
    return actor.kind == ActorKind::kGradientSync && !actor.acts.empty() &&
           actor.acts[0].firings > 1;
  });
}

LeafOrder::LeafOrder(const Plan& plan)
    : micro_batches_(micro_batches_of(plan)),
      context_(plan.context),
      replica_step_(micro_batches_),
      micro_step_(1) {
  if (!sums_each_micro_batch(plan)) return;
  replica_step_ = 1;
  micro_step_ = plan.replicas / plan.context;
}

}  // namespace reef::plan
