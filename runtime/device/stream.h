#pragma once
// A stream: where compute runs, so that no actor's handler ever blocks. An act submits its work and
// is told, by a message, when it is done.

#include <cstdint>
#include <functional>

#include "ops/tensor/context.h"
#include "runtime/base/clock.h"

namespace reef::device {

/// Thread: submit() from any thread. Work runs on the stream's own thread, of what waits the
/// highest priority first, and of equals in the order of submission; `done` there too or on one of
/// the device's, in the order of the works, and may only post a message. Failure: work reports
/// through what it captures; it does not throw.
class Stream {
 public:
  using Work = std::function<void(ops::Context&)>;
  using Done = std::function<void()>;

  virtual ~Stream() = default;
  /// Runs `work`, then, once the device has done what it launched, `done`; neither runs when the
  /// stream is stopped before their turn. With a pace the stream plays a slower device: `done`, and
  /// all that stands behind it, waits until a device that takes so long for this work would have
  /// been done.
  virtual void submit(std::int32_t priority, Work work, Done done, Duration pace = {}) = 0;
};

}  // namespace reef::device
