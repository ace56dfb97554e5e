#pragma once
// What an op needs of the device it runs on. Devices (runtime/device) implement it; ops know
// nothing else about where they run.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "ops/tensor/pool.h"
#include "ops/tensor/tensor.h"

namespace reef::ops {

/// A call-through to a callable that outlives the call; copies two pointers and allocates nothing.
class TaskRef {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, TaskRef>>>
  TaskRef(F&& task)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(task)))),
        call_([](void* object, std::size_t index) {
          (*static_cast<std::remove_reference_t<F>*>(object))(index);
        }) {}
  void operator()(std::size_t index) const { call_(object_, index); }

 private:
  void* object_;
  void (*call_)(void*, std::size_t);
};

/// A device's memory and workers, handed to every op.
/// Thread: one op at a time; only inside parallel_for do several threads run.
/// Order: ops cut their work into tiles whose size does not depend on the number of workers, and no
/// two tiles write the same element, so any assignment of tasks to threads gives the same bits.
class Context {
 public:
  virtual ~Context() = default;
  virtual Device device() const { return Device::kCpu; }
  virtual Pool& pool() = 0;
  /// Runs task(0) .. task(tasks - 1), in any order and on any worker; returns when all are done.
  /// Is not nested.
  virtual void parallel_for(std::size_t tasks, TaskRef task) = 0;
};

}  // namespace reef::ops
