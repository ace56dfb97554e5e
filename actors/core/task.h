#pragma once
// A task: what one actor of the plan does, free of CAF, threads and messages. The host
// (core/host.h) is the CAF actor around it: it keeps the firing rule, credit and the stream, and
// calls the task when an act may fire.

#include <memory>
#include <span>

#include "ops/tensor/context.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/register/token.h"

namespace reef::actors {

/// One firing of one act, as the task sees it.
struct Firing {
  std::size_t act;       ///< index into the plan's Actor::acts
  std::uint64_t number;  ///< 0-based count of this act's firings
  std::span<const Token* const>
      inputs;  ///< in port order; never null; the group's token for grouped ports
  std::span<Token* const> outputs;  ///< in port order; null where this firing makes no token
  ops::Context& context;
  /// The task may set it: for how long the outputs are kept, and the next firing waits, while the
  /// stream does other work.
  Duration keep{};
};

/// Says of what a firing makes that it belongs to the round and micro-batch of the first input, and
/// is empty if that is.
inline void follow_input(Firing& firing) {
  for (Token* output : firing.outputs) {
    if (output == nullptr) continue;
    output->round = firing.inputs[0]->round;
    output->micro = firing.inputs[0]->micro;
    output->empty = firing.inputs[0]->empty;
  }
}

/// Thread: run() on the actor's stream, one firing at a time; the other methods on the actor's own
/// thread, never while run() is under way. Failure: an Error from run() fails the job; it names the
/// actor by itself.
class Task {
 public:
  virtual ~Task() = default;

  /// Fills the tokens present on edges before the first round (the first weights). Called once, on
  /// the stream.
  virtual Status start(ops::Context&, std::span<Token* const> initial) {
    (void)initial;
    return {};
  }
  virtual Status run(Firing& firing) = 0;

  /// False while the task does not want to fire though the plan would let it (a loader that is held
  /// or has ended).
  virtual bool willing() const { return true; }

  /// Stops taking new rounds; returns the training step that the rounds already begun will reach.
  virtual std::uint64_t hold() { return 0; }
  /// Goes on, and ends after training step `step`.
  virtual void release(std::uint64_t step) { (void)step; }
};

}  // namespace reef::actors
