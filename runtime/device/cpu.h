#pragma once
// The CPU as a device: one executor thread that owns one thread pool, so that the math library's
// threads and ours never fight over the cores.

#include <memory>
#include <string>
#include <utility>

#include "ops/cpu/thread_pool.h"
#include "runtime/device/context_stream.h"

namespace reef::device {

class CpuStream final : public ContextStream {
 public:
  /// `threads` compute threads, the executor included.
  CpuStream(std::string name, std::uint32_t threads)
      : ContextStream(std::move(name), std::make_shared<ops::ThreadPool>(threads)) {}
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
