#pragma once
// The CPU's Context: a pool of memory and n threads. One per device, so that no two pools fight.

#include <memory>

#include "ops/tensor/context.h"

namespace reef::ops {

/// `threads` workers, the calling thread among them; 1 runs everything inline.
/// Thread: parallel_for by one thread at a time. Failure: a task must not throw.
class ThreadPool final : public Context {
 public:
  explicit ThreadPool(std::size_t threads, Device device = Device::kCpu);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  Device device() const override { return device_; }
  Pool& pool() override { return pool_; }
  void parallel_for(std::size_t tasks, TaskRef task) override;
  std::size_t threads() const override;

 private:
  struct Workers;
  Pool pool_;
  Device device_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace reef::ops
