#pragma once
// The actors of one node for one plan, as the node sees them. The node knows no actor: whoever
// wires the process (runtime/app) hands it the factory that makes a crew.

#include <functional>
#include <memory>

#include "runtime/node/events.h"
#include "scheduler/job/local_steps.h"
#include "scheduler/plan/plan.h"

namespace reef::node {

/// Thread: any. Destruction stops every actor and returns when none runs any more.
class Crew {
 public:
  virtual ~Crew() = default;
  /// Lets the actors begin: every node of the plan is connected.
  virtual void begin() = 0;
  /// A token of wire edge `edge` came in; the edge ends on this node.
  virtual void arrived(plan::EdgeId edge, std::uint64_t sequence, Token token) = 0;
  /// A slot of wire edge `edge`, which begins on this node, is free again.
  virtual void credited(plan::EdgeId edge) = 0;
  /// Holds every loader; each answers through Events::held.
  virtual void hold() = 0;
  /// Lets the loaders go on and end after `step`.
  virtual void release(std::uint64_t step) = 0;
  /// A letter of another island's outer store. This and the next two may come before begin().
  virtual void letter(std::uint32_t island, Letter letter) = 0;
  /// The channel to island `island` is there (present) or lost. Letters that were under way when it
  /// was lost may be gone.
  virtual void island_changed(std::uint32_t island, bool present) = 0;
  /// What the scheduler says of the other islands; what it said before no longer counts.
  virtual void company(job::Company company) = 0;
};

/// What a crew is made from; everything outlives it.
struct CrewSetup {
  const plan::Plan& plan;
  plan::NodeIndex node;
  Events& events;
  Wire& wire;
  std::string run_folder;
};

using CrewFactory = std::function<Result<std::unique_ptr<Crew>>(const CrewSetup&)>;

}  // namespace reef::node
