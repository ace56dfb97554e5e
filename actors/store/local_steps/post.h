#pragma once
// Where what other islands write waits for the outer store of this one. The crew puts it in, on the
// node's loop; the store takes it out when it fires.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/node/letter.h"

namespace reef::actors {

/// Thread: any. Order: as it came. Memory: what its channels let in before the store fires again.
class Post {
 public:
  struct Event {
    std::uint32_t island = 0;
    std::optional<bool> present;  ///< the channel is there or lost; none: a letter
    node::Letter letter;
  };

  void put(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  /// All that has come. Waits for the first of it as long as `patience`, unless it is closed.
  std::vector<Event> take(Duration patience = {}) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [this] { return closed_ || !events_.empty(); });
    return std::exchange(events_, {});
  }

  /// Nobody waits any longer.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  bool closed_ = false;
};

}  // namespace reef::actors
