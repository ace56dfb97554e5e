#include "scheduler/plan/leaf_order.h"

#include <algorithm>

namespace reef::plan {

bool sums_each_micro_batch(const Plan& plan) {
  return std::ranges::any_of(plan.actors, [](const Actor& actor) {
    return actor.kind == ActorKind::kGradientSync && !actor.acts.empty() &&
           actor.acts[0].firings > 1;
  });
}

LeafOrder::LeafOrder(const Plan& plan) : context_(plan.context) {
  const bool in_turn = sums_each_micro_batch(plan);
  const std::uint32_t groups = plan.replicas / context_;
  std::uint64_t next = 0;
  for (std::uint32_t group = 0; group < groups; ++group) {
    counts_.push_back(micro_batches_of(plan, group * context_));
    first_.push_back(in_turn ? group : next);
    next += counts_.back();
  }
  if (in_turn) step_ = groups;
}

}  // namespace reef::plan
