#pragma once
// Training repeats the same allocations every micro-batch: the pool keeps what is returned, so that
// the steady state asks the operating system for nothing.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ops/tensor/device.h"

namespace reef::ops {

/// Where a pool's blocks come from: the host's heap, or a device's own memory.
/// Thread: any. Failure: take() returns null when there is no more.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual Device device() const = 0;
  /// `bytes` aligned to Pool::kAlignment.
  virtual std::byte* take(std::size_t bytes) = 0;
  virtual void give_back(std::byte* block, std::size_t bytes) = 0;
};

/// The host's heap, as `device` (kCpu or kReference).
std::shared_ptr<Memory> host_memory(Device device = Device::kCpu);

/// A caching allocator of 64-byte aligned blocks in size classes (at most a quarter over the
/// request). Handles are counted in memory that the pool recycles too, so a hit calls no allocator
/// at all.
/// Thread: any. Memory: a block may outlive the Pool; it then goes back to the system.
class Pool {
 public:
  struct Statistics {
    std::uint64_t bytes_in_use = 0;  ///< held by live blocks, size classes included
    std::uint64_t peak_bytes = 0;    ///< the most that bytes_in_use has been
    std::uint64_t cached_bytes = 0;  ///< returned and kept for the next request
    std::uint64_t hits = 0;          ///< requests served from the cache
    std::uint64_t misses = 0;        ///< requests that went to the system
  };

  static constexpr std::size_t kAlignment = 64;

  explicit Pool(std::shared_ptr<Memory> memory = host_memory());
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// The process's pool for tensors that belong to no device (weights being loaded, tests).
  static Pool& host();

  Device device() const;
  /// At least `bytes` of uninitialised memory, back in the pool when the last handle goes. When the
  /// memory has no more, cached blocks are given back first.
  std::shared_ptr<std::byte> allocate(std::size_t bytes);
  Statistics statistics() const;
  /// Starts a new peak measurement at what is in use now.
  void reset_peak();
  /// Gives all cached blocks back to the system.
  void trim();

 private:
  struct State;
  template <typename T>
  struct HandleAllocator;
  State* state_;  ///< outlives the Pool while blocks of it are in use
};

}  // namespace reef::ops
