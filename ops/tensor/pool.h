#pragma once
// Training repeats the same allocations every micro-batch: the pool keeps what is returned, so that
// the steady state asks the operating system for nothing.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace reef::ops {

/// A caching allocator of 64-byte aligned blocks in size classes (at most a quarter over the
/// request). Thread: any. Memory: a block may outlive the Pool; it then goes back to the system.
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

  Pool();
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// The process's pool for tensors that belong to no device (weights being loaded, tests).
  static Pool& host();

  /// At least `bytes` of uninitialised memory, back in the pool when the last handle goes.
  std::shared_ptr<std::byte> allocate(std::size_t bytes);
  Statistics statistics() const;
  /// Starts a new peak measurement at what is in use now.
  void reset_peak();
  /// Gives all cached blocks back to the system.
  void trim();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace reef::ops
