#pragma once
// The CPU as a device: one executor thread that owns one thread pool, so that the math library's
// threads and ours never fight over the cores.

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
class CpuStream final : public Stream {
 public:
  /// `threads` compute threads, the executor included; `name` is shown by ps and perf.
  CpuStream(std::string name, std::uint32_t threads);
  ~CpuStream() override;

  void submit(std::int32_t priority, Work work, Done done) override;
  ops::Context& context() { return pool_; }

 private:
  struct Item {
    Work work;
    Done done;
  };
  void run(const std::string& name);

  ops::ThreadPool pool_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::int32_t, std::deque<Item>, std::greater<>> queues_;  ///< by priority; none empty
  bool stopped_ = false;
  std::thread executor_;
};

/// Runs work at once, on the caller's thread: the device of the simulated cluster, where completion
/// must come in a deterministic order.
class InlineStream final : public Stream {
 public:
  void submit(std::int32_t, Work work, Done done) override {
    work(pool_);
    done();
  }

 private:
  ops::ThreadPool pool_{1};
};

}  // namespace reef::device
