#pragma once
// The CPU as a device: one executor thread that owns one thread pool, so that the math library's
// threads and ours never fight over the cores.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "ops/cpu/thread_pool.h"
#include "runtime/device/stream.h"

namespace reef::device {

/// Failure: none of its own. Destruction finishes the running work, drops the rest and joins.
///
/// Pace: by sleeping. A device that is played starts work when it was submitted or when it is done
/// with what stood before, so that late wake-ups do not add up. Work that takes longer than its
/// pace takes as long as it takes; the log says once when that is no exception.
class CpuStream final : public Stream {
 public:
  /// `threads` compute threads, the executor included; `name` is shown by ps and perf.
  CpuStream(std::string name, std::uint32_t threads);
  ~CpuStream() override;

  void submit(std::int32_t priority, Work work, Done done, Duration pace = {}) override;
  ops::Context& context() { return pool_; }
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

  ops::ThreadPool pool_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::int32_t, std::deque<Item>, std::greater<>> queues_;  ///< by priority; none empty
  bool stopped_ = false;
  std::atomic<std::uint64_t> overruns_ = 0;
  Time paced_until_{};  ///< when the played device is done with all that it has begun
  std::thread executor_;
};

/// Runs work at once, on the caller's thread: the device of the simulated cluster, where completion
/// must come in a deterministic order. Keeps no pace: its time is not this machine's.
class InlineStream final : public Stream {
 public:
  void submit(std::int32_t, Work work, Done done, Duration = {}) override {
    work(pool_);
    done();
  }

 private:
  ops::ThreadPool pool_{1};
};

}  // namespace reef::device
