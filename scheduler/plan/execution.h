#pragma once
// The plan played by the firing rule of runtime/base/firing.h, with the user of this class deciding
// which act comes next and how long it takes. The proof of liveness and the prediction of the step
// time both run on it.

#include <cstdint>
#include <vector>

#include "scheduler/plan/plan.h"

namespace reef::plan {

struct ActRef {
  ActorId actor = 0;
  std::uint32_t act = 0;
};

/// Precondition: validate(plan) is ok, except that slots may be 0. The plan outlives the execution.
class Execution {
 public:
  /// Every act may fire `rounds` times its firings.
  Execution(const Plan& plan, std::uint64_t rounds);

  bool exhausted(ActRef ref) const;
  bool ready(ActRef ref) const;
  /// Takes input tokens and reserves output slots. Returns the firing's number. Precondition:
  /// ready(ref).
  std::uint64_t start(ActRef ref);
  /// Gives input slots back / makes output tokens of a started firing. Separate, because a line
  /// delays the second.
  void return_slots(ActRef ref, std::uint64_t firing);
  void make_tokens(ActRef ref, std::uint64_t firing);

  const EdgeState& edge(EdgeId id) const { return edges_[id]; }
  std::uint64_t fired(ActRef ref) const { return fired_[first_[ref.actor] + ref.act]; }
  /// All firings done and every edge as before the first round.
  bool complete() const;

 private:
  const Act& act(ActRef ref) const { return plan_.actors[ref.actor].acts[ref.act]; }

  const Plan& plan_;
  std::uint64_t rounds_;
  std::vector<EdgeState> edges_;
  std::vector<std::size_t> first_;  ///< of an actor's acts in fired_
  std::vector<std::uint64_t> fired_;
};

}  // namespace reef::plan
