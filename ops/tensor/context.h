#pragma once
// What an op needs of the device it runs on. Devices (runtime/device, plug-ins) implement it; ops
// know nothing else about where they run.

#include <cstddef>
#include <cstring>
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

/// A device's memory, workers and order of work, handed to every op.
/// Thread: one op at a time; only inside parallel_for do several threads run.
/// Order: work launched on one context runs in the order of the calls. A host device has finished
/// it when the call returns; another may still be running it until synchronize() or copy_to_host().
/// Ops cut their work into tiles whose size does not depend on the number of workers, and no two
/// tiles write the same element, so any assignment of tasks to threads gives the same bits.
class Context {
 public:
  virtual ~Context() = default;
  virtual Device device() const { return Device::kCpu; }
  virtual Pool& pool() = 0;
  /// Runs task(0) .. task(tasks - 1), in any order and on any worker; returns when all are done.
  /// Is not nested. For host devices.
  virtual void parallel_for(std::size_t tasks, TaskRef task) = 0;
  /// Workers that parallel_for may use at once; for estimates, never for cutting work.
  virtual std::size_t threads() const { return 1; }

  /// Copies between host memory and this device's, after all work launched before. `from` may be
  /// written again when copy_to_device returns; `to` is filled when copy_to_host returns.
  virtual void copy_to_device(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  virtual void copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  /// Like copy_to_host, but only asks for it: `to`, of staging(), is filled once all work launched
  /// before this call and the copy are done, which when_done() tells.
  virtual void start_copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
    copy_to_host(to, from, bytes);
  }
  /// Within this device's memory, in the order of launches; the two do not overlap.
  virtual void copy_within(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  /// Host memory for what leaves the device: what its copies reach without another one. A host
  /// device has only its own.
  virtual Pool& staging() { return is_host(device()) ? pool() : Pool::host(); }
  /// Returns when all work launched before is done.
  virtual void synchronize() {}
  /// Calls `call(argument)` once all work launched before is done, on any thread; it may only post
  /// a message. A host device calls it at once.
  virtual void when_done(void (*call)(void*), void* argument) { call(argument); }
};

/// An independent contiguous copy of `tensor` (contiguous, in host memory) on the context's device.
Tensor to_device(Context& context, const Tensor& tensor);
/// A contiguous copy of `tensor` (contiguous, on the context's device) in `pool`, host memory.
Tensor to_host(Context& context, const Tensor& tensor, Pool& pool = Pool::host());
/// Work on host memory: on the context's workers, or, if they are a device's, here, one after the
/// other.
void for_each_on_host(Context& context, std::size_t tasks, TaskRef task);
/// `tensor` where this process can read it: itself, or a copy if it is on the context's device.
Tensor on_host(Context& context, const Tensor& tensor);
/// `tensor` where the context computes: itself, or a copy if it is in host memory.
Tensor on_device(Context& context, const Tensor& tensor);
/// An independent copy of `tensor` (contiguous) beside it.
Tensor copy_of(Context& context, const Tensor& tensor);

}  // namespace reef::ops
