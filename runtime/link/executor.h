#pragma once
// Where link callbacks run: an epoll thread in production (loop.h), a simulated clock in tests
// (sim/sim.h). Links, the handshake and the channel see only this, so one code serves both.

#include <cstdint>
#include <functional>

#include "runtime/base/clock.h"

namespace reef::link {

using Task = std::function<void()>;
using TimerId = std::uint64_t;

/// One line of execution: tasks and timers run one after another, never at once.
/// Thread: every method from any thread unless it says otherwise.
/// Failure: once stopped, tasks still posted run or are destroyed, on the thread that stopped it.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `task` later, in order of posting; never inline.
  virtual void post(Task task) = 0;
  /// Runs `task` once `when` has come on clock(). Equal times run in order of creation.
  virtual TimerId at(Time when, Task task) = 0;
  /// Forgets a timer; harmless when it has run.
  virtual void cancel(TimerId timer) = 0;
  /// Runs `task` on the executor's thread and waits; inline when already there or stopped. The
  /// caller holds no lock that a callback takes.
  virtual void call(Task task) = 0;
  /// Whether the caller is on the executor's thread (or the executor has stopped).
  virtual bool here() const = 0;
  virtual const Clock& clock() const = 0;
};

}  // namespace reef::link
