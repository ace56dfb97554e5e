#pragma once
// The plan played by the firing rule of runtime/base/firing.h, with the user of this class deciding
// which act comes next and how long it takes. The proof of liveness and the prediction of the step
// time both run on it.

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/plan/plan.h"

namespace reef::plan {

struct ActRef {
  ActorId actor = 0;
  std::uint32_t act = 0;
};

/// Memory: what the rule needs of the plan, in a row, since a plan of thousands of nodes does not
/// fit into a cache with its names. Precondition: validate(plan) is ok, except that slots may be 0.
/// The plan outlives the execution.
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
  std::span<const Port> inputs(ActRef ref) const { return inputs(act(ref)); }
  std::span<const Port> outputs(ActRef ref) const { return outputs(act(ref)); }
  std::uint64_t fired(ActRef ref) const { return act(ref).fired; }
  /// All firings done and every edge as before the first round.
  bool complete() const;

 private:
  struct PlayedAct {
    std::uint64_t fired = 0;
    std::uint64_t most = 0;                          ///< firings in all rounds
    std::uint32_t inputs = 0, outputs = 0, end = 0;  ///< where its ports begin and end in ports_
  };

  const PlayedAct& act(ActRef ref) const { return acts_[first_[ref.actor] + ref.act]; }
  std::span<const Port> inputs(const PlayedAct& act) const {
    return {ports_.data() + act.inputs, ports_.data() + act.outputs};
  }
  std::span<const Port> outputs(const PlayedAct& act) const {
    return {ports_.data() + act.outputs, ports_.data() + act.end};
  }

  const Plan& plan_;
  std::vector<EdgeState> edges_;
  std::vector<std::uint32_t> first_;  ///< of an actor's acts, in acts_
  std::vector<PlayedAct> acts_;
  std::vector<Port> ports_;
};

}  // namespace reef::plan
