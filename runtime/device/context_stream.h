#pragma once
// A stream over any context: one executor thread that launches work on it, the processor's or a
// plug-in's device.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/device/stream.h"

namespace reef::device {

/// Failure: none of its own. Destruction finishes the running work, drops the rest, waits for what
/// was launched, and joins.
///
/// Completion: on the processor work is done when it returns. Another device may still be at it
/// then: the executor goes on to launch the next work, and `done` runs when the device says so, on
/// whatever thread that is. So an act's launches run ahead of the device, as far as credit lets the
/// acts behind it begin.
///
/// Pace: by sleeping. A device that is played starts work when it was submitted or when it is done
/// with what stood before, so that late wake-ups do not add up. Work that takes longer than its
/// pace takes as long as it takes; the log says once when that is no exception.
class ContextStream : public Stream {
 public:
  /// `name` is shown by ps and perf.
  ContextStream(std::string name, std::shared_ptr<ops::Context> context);
  ~ContextStream() override;

  void submit(std::int32_t priority, Work work, Done done, Duration pace = {}) override;
  ops::Context& context() { return *context_; }
  /// Works that took longer than their pace. Thread: any.
  std::uint64_t overruns() const { return overruns_; }

 private:
  struct Item {
    Work work;
    Done done;
    Duration pace;
    Time submitted;
  };
  void run(const std::string& name);
  bool run_paced(Item& item);
  void say_done(Done done);

  const std::shared_ptr<ops::Context> context_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::int32_t, std::deque<Item>, std::greater<>> queues_;  ///< by priority; none empty
  bool stopped_ = false;
  std::atomic<std::uint64_t> overruns_ = 0;
  Time paced_until_{};  ///< when the played device is done with all that it has begun
  std::thread executor_;
};

}  // namespace reef::device
